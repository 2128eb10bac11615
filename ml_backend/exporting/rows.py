"""Annotations as rows: one each, with the task, the person, the agreement and how the task was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ml_backend.evaluation.agreement import answers, together
from ml_backend.exporting.answers import Controls
from ml_backend.exporting.provenance import EVALUATION, AskedUnder, Provenance, carried_of
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import Answer, AnswerReader
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_rows import parse_time
from ml_backend.records import CONTROL, Annotation, Task
from ml_backend.store.project_store import ProjectStore

COLUMNS: Final = (
    "task_id",
    "annotation_id",
    "control",
    "label",
    "problem",
    "consensus_label",
    "tied",
    "split",
    "annotator",
    "created_at",
    "updated_at",
    "lead_time",
    "skipped",
    "ground_truth",
    "strategy",
    "share",
    "place",
    "queue",
    "model_version",
    "guess",
    "probability",
    "guess_shown",
    "predicted_label",
)
"""The columns of a row, without its task's data.

``control`` is the name of the question in the labeling config, ``problem`` says why an answer cannot be read,
``lead_time`` is in seconds, ``split`` is ``train``, ``control`` or ``evaluation``; for ``strategy`` and all after it
see `provenance.Provenance`. ``predicted_label`` is the guess if people saw it. Everything about labels concerns the
leading question.
"""
TRAIN: Final = "train"
NO_CONTROLS: Final = Controls()
CARRIED: Final = ("annotator", "created_at", "updated_at")
"""What Label Studio's own import replaces, in addition to dropping the provenance."""


@dataclass(frozen=True)
class _Given:
    """One annotation of an export, as it was first given."""

    raw: Mapping[str, Any]
    record: Annotation
    """The annotation as a record, without its label."""
    annotator: str | int | None
    created_at: str
    updated_at: str
    asked: Provenance


def annotation_rows(
    tasks: Iterable[Mapping[str, Any]],
    question: ChoiceQuestion | None,
    emails: Mapping[int, str],
    store: ProjectStore | None = None,
    controls: Controls = NO_CONTROLS,
) -> Iterator[dict[str, Any]]:
    """One row for each annotation of an export, in the order of tasks and annotations.

    If the question allows several choices, ``label`` and all other labels of a row are lists. If the page asks more
    than one question, ``answers`` has all answers by the names of their controls.

    Args:
        tasks: in the form of Label Studio's export.
        question: the leading question; None if none is learnt: rows then have no ``label``.
        emails: account id → e-mail address.
        store: tells how the tasks were chosen.
        controls: all controls of the page.
    """
    ordered = sorted((task for task in tasks if task["annotations"]), key=lambda task: task["id"])
    under = AskedUnder(question, [task["id"] for task in ordered], store)
    known = [[_given(task, annotation, emails, under) for annotation in _in_order(task)] for task in ordered]
    records = [each.record for given in known for each in given]
    reader = None if question is None else AnswerReader.of(question, records)
    readers = controls.readers(records)
    for task, given in zip(ordered, known, strict=True):
        said = [reader.read(each.record) if reader else Answer() for each in given]
        labels = answers(replace(each.record, label=its.label) for each, its in zip(given, said, strict=True))
        split = _split(task, given)
        for each, its in zip(given, said, strict=True):
            found = {"task_id": task["id"], "split": split} | _row(each, its, labels, question)
            more = {"answers": controls.answers(each.record, readers)} if controls.names else {}
            yield {name: found[name] for name in COLUMNS} | more | {"data": task["data"]}


def _in_order(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(task["annotations"], key=lambda annotation: annotation["id"])


def _row(given: _Given, said: Answer, labels: Sequence[str], question: ChoiceQuestion | None) -> dict[str, Any]:
    """The columns for one annotation of a task with these labels."""
    agreed = None if question is None else _agreed(labels, question)

    def told(label: str | None) -> Any:
        is_set = question is not None and question.multiple
        return list(unpack(label)) if is_set and label is not None else label

    return {
        "annotation_id": given.record.id,
        "control": None if question is None else question.control,
        "label": told(said.label),
        "problem": said.problem,
        "consensus_label": told(agreed),
        "tied": bool(labels) and agreed is None,
        "annotator": given.annotator,
        "created_at": given.created_at,
        "updated_at": given.updated_at,
        "lead_time": given.raw.get("lead_time"),
        "skipped": given.record.cancelled,
        "ground_truth": bool(given.raw.get("ground_truth")),
        **asdict(given.asked),
        "guess": told(given.asked.guess),
        "predicted_label": told(given.asked.guess if given.asked.guess_shown else None),
    }


def _agreed(labels: Sequence[str], question: ChoiceQuestion) -> str | None:
    """What the people of a task agree on; a set in the config's order."""
    found = together(labels, sets=question.multiple)
    return pack(unpack(found), question.labels) if question.multiple and found is not None else found


def carried(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a row that Label Studio's own import would lose."""
    return {name: row[name] for name in (*CARRIED, *asdict(Provenance()))}


def _given(
    task: Mapping[str, Any],
    annotation: Mapping[str, Any],
    emails: Mapping[int, str],
    under: AskedUnder,
) -> _Given:
    before = carried_of(task, annotation)
    created, changed = annotation["created_at"], annotation["updated_at"]
    is_edited = (parse_time(changed) - parse_time(created)).total_seconds() > 1
    person = annotation.get("completed_by")
    updated_at = changed if is_edited else str(before.get("updated_at", changed))
    record = Annotation(
        id=annotation["id"],
        annotator=person,
        updated_at=parse_time(updated_at),
        result=annotation.get("result"),
        cancelled=bool(annotation.get("was_cancelled")),
    )
    annotator = before.get("annotator", emails.get(person or 0, person))
    created_at = str(before.get("created_at", created))
    return _Given(annotation, record, annotator, created_at, updated_at, under.of(task, annotation))


def _split(task: Mapping[str, Any], given: Sequence[_Given]) -> str:
    """What a task is used for: held out, drawn at random for measuring, or to learn from."""
    if Task(task["id"], task["data"]).is_evaluation:
        return EVALUATION
    return CONTROL if any(each.asked.share == CONTROL for each in given) else TRAIN
