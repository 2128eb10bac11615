"""Converts between Label Studio's results (of annotations and predictions) and labels; no other module does.

An unreadable result is not the same as an open question: somebody did answer, and should be told that the answer was
lost.
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
"""Prefix of the region ids that a bulk action writes; the action's id follows. Label Studio stores region ids, so that
such an answer can be recognised even without our store."""
ONE_QUESTION: Final = "one-question"
"""Region id of an answer that this program wrote to one question only, whatever else the page asks."""
LONGEST_NUMBER: Final = 64
"""Largest number accepted as a label, in bits."""


@dataclass(frozen=True)
class Answer:
    """What one result answers to one question. If it has neither a label nor a problem, the question was left open."""

    label: str | None = None
    """The label, which may be missing from the present config (callers report that). If the question takes several
    choices, the set of labels packed into one text (`label_sets`), empty for "none of them"."""
    problem: str | None = None
    """Why the result cannot be read."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels as a tuple, in the order of the config; None if the question was left open."""
        return None if self.label is None else unpack(self.label)


OPEN: Final = Answer()


class _Unreadable(ValueError):
    """The result cannot be read; the text says why."""


def read_answer(result: Any, question: ChoiceQuestion) -> Answer:
    """Read what a result, as Label Studio stores it, answers to the question.

    Never raises, whatever the result contains.

    If several choices are allowed, choosing nothing is an answer too, which the page stores as an empty result. It is
    not an answer if the config requires a choice, or if this program wrote the result to answer another question, so
    that nobody was asked this one.
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
    """Reads annotations like `read_answer`, but in the light of all annotations of the project.

    An annotation may answer other questions and choose nothing here. That means "none fits" only after somebody has
    chosen something here for the first time: until then the page may not have asked this question yet.
    """

    question: ChoiceQuestion
    asked_since: datetime | None = None
    """When somebody first chose something; None if nobody has. Only used where choosing nothing is an answer."""

    @classmethod
    def of(cls, question: ChoiceQuestion, annotations: Iterable[Annotation]) -> AnswerReader:
        """A reader for a project whose tasks have these annotations."""
        if not question.none_is_an_answer:
            return cls(question)
        given = (each for each in annotations if not each.cancelled)
        return cls(
            question, min((each.updated_at for each in given if read_answer(each.result, question).label), default=None)
        )

    def read(self, annotation: Annotation) -> Answer:
        """What one annotation answers."""
        answer = read_answer(annotation.result, self.question)
        is_early = self.asked_since is None or annotation.updated_at < self.asked_since
        return OPEN if answer.label == "" and is_early and _leaves_out(annotation.result, self.question) else answer


def _leaves_out(result: Any, question: ChoiceQuestion) -> bool:
    """Whether a readable result answers something, but nothing about this question."""
    return bool(result) and all(region.get("from_name") != question.control for region in result)


def _is_of_another_alone(result: Sequence[Mapping[str, Any]], question: ChoiceQuestion) -> bool:
    ids = (str(region.get("id", "")) for region in result)
    return _leaves_out(result, question) and all(name == ONE_QUESTION or name.startswith(BULK_REGION) for name in ids)


def is_listed(label: str | None, question: ChoiceQuestion) -> bool:
    """Whether the config offers this label; for a set, whether it offers all of its labels."""
    if label is None or question.multiple:
        return label is not None and all(each in question.labels for each in unpack(label))
    return label in question.labels


def set_in(value: Any, question: ChoiceQuestion) -> str | None:
    """Read the set of labels in a cell of a table: a list, a list as JSON or in Label Studio's form, or a single label.

    Returns None for an empty cell and for values that cannot be labels.
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
    """The label in a result; None if the question was left open or the answer cannot be read."""
    return read_answer(result, question).label


def result_for(label: str, score: float, question: ChoiceQuestion) -> list[dict[str, Any]]:
    """A prediction's ``result``: the label (or the labels of a set), with its probability as the region's score.

    Label Studio requires region ids to be strings. The empty set has no region, which is how the page stores it.
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
    """The labels in the form that a result stores."""
    if question.kind == RATING:
        return int(chosen[0])
    if question.paths:
        return [list(question.paths[question.labels.index(label)]) for label in chosen]
    return [[label] if question.nested else label for label in chosen]


def annotation_result(label: str, question: ChoiceQuestion, *, action: str = "") -> list[dict[str, Any]]:
    """The result of an annotation that answers only this question. Unlike a prediction's, it has no score.

    ``action`` is the id of the bulk action that writes it, if one does.
    """
    region_id = f"{BULK_REGION}{action}" if action else ONE_QUESTION
    return [
        {name: value for name, value in part.items() if name != "score"} | {"id": region_id}
        for part in result_for(label, 1, question)
    ]


def bulk_action(result: Any) -> str | None:
    """The id of the bulk action that wrote this result; None if a person answered the task itself. Never raises."""
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
    if isinstance(chosen, str):  # a bare text, where Label Studio writes a list: the meaning is clear
        chosen = [chosen]
    if not isinstance(chosen, list):
        raise _Unreadable(f"its choices are {_shown(chosen)}, not a list")
    for choice in chosen:
        if not _is_told_by_leaves(choice, chosen, question):
            yield _label(choice, question)


def _is_told_by_leaves(choice: Any, chosen: Sequence[Any], question: ChoiceQuestion) -> bool:
    """Whether this is an outer choice all of whose inner ones are chosen too: the page then stores both."""
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
    if isinstance(choice, list) and len(choice) == 1:  # the form that allowNested stores
        choice = choice[0]
    if isinstance(choice, str):
        return choice
    whole = isinstance(choice, int) and not isinstance(choice, bool)
    if whole and choice.bit_length() <= LONGEST_NUMBER:  # other tools' JSON may hold 7 for the label "7"
        return str(choice)
    raise _Unreadable(f"its choice is {_shown(choice)}, not a text")


def _shown(value: Any) -> str:
    """A short form of a value, however large or deeply nested it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer with thousands of digits
        return f"a {type(value).__name__}"
