"""The answers to all questions of a page, one column per control, beside the label of the leading question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ml_backend.label_studio.answers import AnswerReader
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Annotation

PREFIX: Final = "answer."
"""Prefix of the names of such columns."""


@dataclass(frozen=True)
class Controls:
    """The controls of a page, if it asks more than the one question that is learnt."""

    names: tuple[str, ...] = ()
    """Names of all controls in the config's order; empty if there is only one, whose answer is the label."""
    learnt: Mapping[str, ChoiceQuestion] = field(default_factory=dict)
    """Those of them that are learnt."""

    @classmethod
    def of(cls, names: Sequence[str], learnt: Sequence[ChoiceQuestion]) -> Controls:
        """All ``names``; none if the only one is the question that is learnt."""
        known = {question.control: question for question in learnt}
        return cls(() if set(names) <= set(known) and len(names) < 2 else tuple(names), known)

    def readers(self, annotations: Sequence[Annotation]) -> dict[str, AnswerReader]:
        """Control → reader of its answers, for those that are learnt. ``annotations`` are all of the project's."""
        return {name: AnswerReader.of(question, annotations) for name, question in self.learnt.items()}

    def answers(self, annotation: Annotation, readers: Mapping[str, AnswerReader]) -> dict[str, Any]:
        """Control → its answer in an annotation; None if it was left open or cannot be read."""
        return {name: _answer(name, annotation, readers.get(name)) for name in self.names}


def _answer(name: str, annotation: Annotation, reader: AnswerReader | None) -> Any:
    if reader is None:
        found = list(_values(name, annotation.result))
        return found[0] if len(found) == 1 and not isinstance(found[0], Mapping) else found or None
    answer = reader.read(annotation)
    return list(answer.labels or ()) if reader.question.multiple and answer.labels is not None else answer.label


def _values(name: str, result: Any) -> Iterator[Any]:
    """What each region of a control holds: what was chosen or written if that is all, else a place with its labels."""
    for region in result if isinstance(result, list | tuple) else ():
        if not isinstance(region, Mapping) or region.get("from_name") != name:
            continue
        value = region.get("value")
        if isinstance(value, Mapping) and len(value) == 1:
            (value,) = value.values()
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
        yield value
