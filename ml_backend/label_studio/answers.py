"""Results of annotations and predictions ↔ labels: the one place that reads and writes them.

A result that cannot be read is not one that leaves the question open: people answered, and should be told.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.config_controls import BETWEEN
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Annotation

RATING: Final = "rating"
BULK_REGION: Final = "bulk-"
"""Begins the id of a region that was written to many tasks at once; the action's id follows. Label Studio keeps it, so
that whoever reads the annotation knows, also without our store."""
ONE_QUESTION: Final = "one-question"
"""Id of a region that a program of ours wrote to answer one question, whatever else the page asks."""
LONGEST_NUMBER: Final = 64
"""Bits of a number that stands for a label."""


@dataclass(frozen=True)
class Answer:
    """What one result says to the question. Neither label nor problem: it leaves the question open."""

    label: str | None = None
    """Perhaps one that the config does not (or no longer) list: the caller reports it. Where the question takes several
    choices the text for their set, empty for none of them."""
    problem: str | None = None
    """Why it cannot be read."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels in it, in the order of the config; None where it leaves the question open."""
        return None if self.label is None else unpack(self.label)


OPEN: Final = Answer()


class _Unreadable(ValueError):
    """Why."""


def read_answer(result: Any, question: ChoiceQuestion) -> Answer:
    """What a result, as Label Studio keeps it, answers to the question. Never fails, whatever the result is.

    Where several choices are taken, none of them is an answer, too: the page stores it as nothing at all. But not where
    the config requires a choice, or where we wrote the answer to another question, and nobody was asked this one.
    """
    try:
        labels = list(dict.fromkeys(_labels(result, question)))
    except _Unreadable as exc:
        return Answer(problem=str(exc))
    if question.multiple:
        is_open = result is None or (not labels and (question.required or _is_of_another_alone(result, question)))
        return OPEN if is_open else Answer(pack(labels, question.labels))
    if len(labels) > 1:
        return Answer(problem=f"it has {len(labels)} choices where one is asked for: {_shown(labels)}")
    return Answer(labels[0]) if labels else OPEN


@dataclass(frozen=True)
class AnswerReader:
    """Reads the annotations of a project, each as `read_answer`, but seen beside all others.

    That nothing was chosen where several choices may be, beside answers to other questions, says that none fits only
    from the first answer on in which somebody chose something: before, the page may not have asked.
    """

    question: ChoiceQuestion
    asked_since: datetime | None = None
    """When somebody first chose something where none is an answer, too; None: nobody has."""

    @classmethod
    def of(cls, question: ChoiceQuestion, annotations: Iterable[Annotation]) -> AnswerReader:
        """For a project with these annotations, of all its tasks."""
        if not question.none_is_an_answer:
            return cls(question)
        given = (each for each in annotations if not each.cancelled)
        return cls(
            question, min((each.updated_at for each in given if read_answer(each.result, question).label), default=None)
        )

    def read(self, annotation: Annotation) -> Answer:
        """What one of them answers."""
        answer = read_answer(annotation.result, self.question)
        is_early = self.asked_since is None or annotation.updated_at < self.asked_since
        return OPEN if answer.label == "" and is_early and _leaves_out(annotation.result, self.question) else answer


def _leaves_out(result: Any, question: ChoiceQuestion) -> bool:
    """Whether a result that can be read answers something, and has nothing of this question."""
    return bool(result) and all(region.get("from_name") != question.control for region in result)


def _is_of_another_alone(result: Sequence[Mapping[str, Any]], question: ChoiceQuestion) -> bool:
    ids = (str(region.get("id", "")) for region in result)
    return _leaves_out(result, question) and all(name == ONE_QUESTION or name.startswith(BULK_REGION) for name in ids)


def is_listed(label: str | None, question: ChoiceQuestion) -> bool:
    """Whether a label is one of the question's; of a set, whether all its labels are."""
    if label is None or question.multiple:
        return label is not None and all(each in question.labels for each in unpack(label))
    return label in question.labels


def set_in(value: Any, question: ChoiceQuestion) -> str | None:
    """The text for the set that a cell of a table holds: a list, one as JSON or as Label Studio writes it, or a label.

    None where it holds nothing, or what is no label.
    """
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        value = value.get(question.kind)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    chosen = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in chosen):
        return None
    texts = [str(each) if str(each) in question.labels else str(each).strip() for each in chosen]
    return pack([text for text in texts if text], question.labels)


def label_of(result: Any, question: ChoiceQuestion) -> str | None:
    """The label in a result; None where the question was left open, or the answer cannot be read."""
    return read_answer(result, question).label


def result_for(label: str, score: float, question: ChoiceQuestion) -> list[dict[str, Any]]:
    """A prediction's ``result``: the label, or the labels of a set, with its probability as the region's score.

    Label Studio needs region ids to be strings. The empty set is no region, as the page has it.
    """
    chosen = unpack(label) if question.multiple else (label,)
    if not chosen:
        return []
    return [
        {
            "id": "choice",
            "from_name": question.control,
            "to_name": question.object,
            "type": question.kind,
            "score": round(float(score), 6),
            "value": {question.kind: _written(chosen, question)},
        }
    ]


def _written(chosen: Sequence[str], question: ChoiceQuestion) -> Any:
    """Labels as a result holds them."""
    if question.kind == RATING:
        return int(chosen[0])
    if question.paths:
        return [list(question.paths[question.labels.index(label)]) for label in chosen]
    return [[label] if question.nested else label for label in chosen]


def annotation_result(label: str, question: ChoiceQuestion, *, action: str = "") -> list[dict[str, Any]]:
    """A person's answer to this question alone; unlike a prediction's, it has no score.

    ``action``: one that answered many tasks at once.
    """
    region_id = f"{BULK_REGION}{action}" if action else ONE_QUESTION
    return [
        {name: value for name, value in part.items() if name != "score"} | {"id": region_id}
        for part in result_for(label, 1, question)
    ]


def bulk_action(result: Any) -> str | None:
    """The action that wrote a result to many tasks at once; None where people answered this one. Never fails."""
    for part in result if isinstance(result, list | tuple) else ():
        region = part.get("id") if isinstance(part, Mapping) else None
        if isinstance(region, str) and region.startswith(BULK_REGION):
            return region.removeprefix(BULK_REGION)
    return None


def _labels(result: Any, question: ChoiceQuestion) -> Iterator[str]:
    if result is None:
        return
    if not isinstance(result, list | tuple):
        raise _Unreadable(f"its result is {_shown(result)}, not a list")
    for region in result:
        if not isinstance(region, Mapping):
            raise _Unreadable(f"its result holds {_shown(region)}, not an object")
        if region.get("from_name") == question.control:
            yield from _chosen(region, question)


def _chosen(region: Mapping[str, Any], question: ChoiceQuestion) -> Iterator[str]:
    value = region.get("value")
    if not isinstance(value, Mapping):
        raise _Unreadable(f"its value is {_shown(value)}, not an object")
    if question.kind not in value:
        raise _Unreadable(f"it is of the type {_shown(region.get('type'))}, and has no {question.kind}")
    chosen = value[question.kind]
    if question.kind == RATING:
        yield _stars(chosen)
        return
    if isinstance(chosen, str):  # plain what is meant, though Label Studio writes lists
        chosen = [chosen]
    if not isinstance(chosen, list):
        raise _Unreadable(f"its choices are {_shown(chosen)}, not a list")
    for choice in chosen:
        if not _is_told_by_leaves(choice, chosen, question):
            yield _label(choice, question)


def _is_told_by_leaves(choice: Any, chosen: Sequence[Any], question: ChoiceQuestion) -> bool:
    """Whether it is the way to an outer choice, and all in it is chosen as well: the page stores both."""
    if not (question.multiple and question.nested and isinstance(choice, list)):
        return False
    inside = [list(way) for way in question.paths if list(way[: len(choice)]) == choice and len(way) > len(choice)]
    return bool(inside) and all(way in chosen for way in inside)


def _stars(rating: Any) -> str:
    if isinstance(rating, float) and rating.is_integer():
        rating = int(rating)
    if isinstance(rating, bool) or not isinstance(rating, int) or rating.bit_length() > LONGEST_NUMBER:
        raise _Unreadable(f"its rating is {_shown(rating)}, not a whole number")
    return str(rating)


def _label(choice: Any, question: ChoiceQuestion) -> str:
    if isinstance(choice, list) and question.paths and all(isinstance(part, str) for part in choice):
        way = tuple(choice)
        return question.labels[question.paths.index(way)] if way in question.paths else BETWEEN.join(way)
    if isinstance(choice, list) and len(choice) == 1:  # as allowNested stores it
        choice = choice[0]
    if isinstance(choice, str):
        return choice
    whole = isinstance(choice, int) and not isinstance(choice, bool)
    if whole and choice.bit_length() <= LONGEST_NUMBER:  # JSON of other tools: 7 for the label "7"
        return str(choice)
    raise _Unreadable(f"its choice is {_shown(choice)}, not a text")


def _shown(value: Any) -> str:
    """A value in a few characters, however large and deep it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__}"
