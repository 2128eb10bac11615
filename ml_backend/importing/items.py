"""Reads from a row of a file what it contributes: the task's data, a label, people's answers, predictions.

A row may be a plain one, a task in the form of Label Studio's import and export (JSON), a row of its JSON-MIN, CSV or
TSV export, or a row of ``lsal export``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ml_backend.errors import BadItemError
from ml_backend.label_sets import shown
from ml_backend.label_studio.answers import annotation_result, is_listed, read_answer, set_in
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.queue_names import parse_queue_name

MIN_COLUMNS: Final = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})
"""Columns that Label Studio's flat exports add to a task's data. The answers are in columns named after their
controls."""
MIN_MARKS: Final = frozenset({"id", "annotator", "annotation_id"})
"""The columns that identify a row of such an export."""
OWN_COLUMNS: Final = frozenset({"task_id", "annotation_id", "label", "annotator"})
"""The columns that identify a row of ``lsal export``."""
DATA_PREFIX: Final = "data."
"""Prefix of the columns of task data fields in tables of ``lsal export``."""
LOST_OF_TASKS: Final = ("drafts", "comments", "comment_authors", "file_upload")
OF_TASKS: Final = frozenset(
    (
        *("id", "data", "annotations", "completions", "predictions", "meta", "project", "inner_id", "overlap"),
        *("created_at", "updated_at", "updated_by", "is_labeled", "allow_skip", "avg_lead_time", "draft_exists"),
        *(
            "total_annotations",
            "cancelled_annotations",
            "total_predictions",
            "completed_at",
            "annotators",
            "ground_truth",
        ),
        *("comment_count", "unresolved_comment_count", "last_comment_updated_at", "storage_filename"),
        *("annotations_results", "annotations_ids", "predictions_results", "predictions_score"),
        *("predictions_model_versions", "agreement", "reviewers", "reviewed", "state", "unique_lock_id", "locked_by"),
        *LOST_OF_TASKS,
    )
)
"""Fields that a task of Label Studio has; any other field is reported."""
CARRIED: Final = "active_learning"
"""Field of a task's ``meta`` in which our exports carry what Label Studio's import drops, by annotation."""
LARGEST_ID: Final = 2**63
TIMES: Final = ("created_at", "updated_at")
TRUE: Final = (True, 1, "true", "True", "1")


@dataclass(frozen=True)
class ImportItem:
    """One item as it was found."""

    where: str
    fields: Mapping[str, Any]
    """The task's data."""
    label: Any = None
    annotations: tuple[dict[str, Any], ...] = ()
    """People's answers in the form of Label Studio's import; ``completed_by`` is as in the file."""
    predictions: tuple[dict[str, Any], ...] = ()
    meta: Any = None
    is_task: bool = False
    """Whether the fields are a task's data, which are kept as they are."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """For a row of ``lsal export``, all columns, because ``consensus_label`` may be wanted as the label. For a task,
    everything beside its data that is not Label Studio's own, which may include a label."""


@dataclass
class Remarks:
    """Remarks on a file as a whole: what cannot be kept, and answers that do not count."""

    lost: Counter[str] = field(default_factory=Counter)
    """What is not kept → how often it occurs."""
    lines: list[str] = field(default_factory=list)
    """One line for each answer or prediction that is left out of its task or does not count."""


def is_export(columns: Collection[str]) -> bool:
    """Whether the columns are those of ``lsal export``."""
    return set(columns) >= OWN_COLUMNS


def is_plain(row: Mapping[str, Any]) -> bool:
    """Whether a row is plain: neither a task nor from an export.

    Its fields are then the task's, and perhaps a label.
    """
    return not (is_export(row.keys()) or row.keys() >= MIN_MARKS or isinstance(row.get("data"), Mapping))


def item_of(where: str, row: Mapping[str, Any], question: ChoiceQuestion | None, remarks: Remarks) -> ImportItem:
    """What a row contributes.

    Args:
        where: its place, for messages.
        row: as the file has it.
        question: what the project asks; None: answers to any single choice are labels.
        remarks: collects what is not kept.

    Raises:
        BadItemError: it is not a task.
    """
    if is_export(row.keys()):
        return _own_row(where, row, question, remarks)
    if question is not None and row.keys() >= MIN_MARKS and "data" not in row:
        return _flat_row(where, row, question, remarks)
    data = row.get("data") or row
    if not isinstance(data, Mapping):
        raise BadItemError(f"{where}: its data are not a JSON object")
    if data is row:
        return ImportItem(where, row)
    for name in LOST_OF_TASKS:
        remarks.lost[name] += bool(row.get(name))
    meta = row.get("meta") if isinstance(row.get("meta"), dict | list) else None
    marks = meta.get(CARRIED) if isinstance(meta, dict) else None
    carried = marks if isinstance(marks, dict) else {}
    # Before 1.0, Label Studio called annotations "completions".
    given = row.get("annotations", row.get("completions"))
    annotations = tuple(_annotations(where, given, question, remarks, carried))
    predictions = tuple(_predictions(where, row.get("predictions"), remarks))
    beside = {name: value for name, value in row.items() if name not in OF_TASKS and value not in (None, "", [], {})}
    return ImportItem(where, data, None, annotations, predictions, meta or None, is_task=True, columns=beside)


def _annotations(
    where: str, found: Any, question: ChoiceQuestion | None, remarks: Remarks, carried: Collection[str]
) -> Iterator[dict[str, Any]]:
    if found is not None and not isinstance(found, list):
        remarks.lines.append(f"{where}: its annotations are not a list; the task is imported without them")
        return
    for number, annotation in enumerate(found or (), start=1):
        place = f"{where}, annotation {number}"
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            remarks.lines.append(f"{place}: it has no list of results; it is left out, and its task is imported")
            continue
        kept = _annotation(annotation, remarks, carried=str(annotation.get("id")) in carried)
        _remark(place, kept, question, remarks)
        yield kept


def _remark(place: str, kept: Mapping[str, Any], question: ChoiceQuestion | None, remarks: Remarks) -> None:
    """Report an answer that does not count, with the reason."""
    if question is None or kept["was_cancelled"]:
        return
    answer = read_answer(kept["result"], question)
    if answer.problem is not None:
        remarks.lines.append(f"{place}: {answer.problem}; it is imported as it is, but does not count")
    elif answer.label is None and kept["result"]:
        remarks.lines.append(f'{place}: it does not answer "{question.control}", the question of the project')
    elif answer.label is not None and not is_listed(answer.label, question):
        remarks.lines.append(
            f'{place}: label "{shown(answer.label)}" is not in the labeling config; it is imported, but does not count'
        )


def _annotation(found: Mapping[str, Any], remarks: Remarks, *, carried: bool = False) -> dict[str, Any]:
    """An annotation in the form of Label Studio's import, which keeps the id as ``import_id``, where our exports look.

    ``carried`` says whether the task's ``meta`` has what the import drops.
    """
    if not carried:
        remarks.lost["times of answers"] += any(found.get(name) for name in TIMES)
        remarks.lost["which guess was on the screen"] += bool(found.get("prediction"))
    kept: dict[str, Any] = {
        "result": found["result"],
        "was_cancelled": found.get("was_cancelled") in TRUE,
        "ground_truth": found.get("ground_truth") in TRUE,
    }
    if type(number := found.get("id")) is int and 0 < number < LARGEST_ID:
        kept["id"] = number
    seconds = _number(found.get("lead_time"))
    if seconds is not None:
        kept["lead_time"] = seconds
    if found.get("completed_by") not in (None, ""):
        kept["completed_by"] = found["completed_by"]
    return kept


def _predictions(where: str, found: Any, remarks: Remarks) -> Iterator[dict[str, Any]]:
    if found is not None and not isinstance(found, list):
        remarks.lines.append(f"{where}: its predictions are not a list; the task is imported without them")
        return
    for number, prediction in enumerate(found or (), start=1):
        if isinstance(prediction, int):
            remarks.lost["predictions, for which an export has only the ids"] += 1
        elif not isinstance(prediction, dict) or not isinstance(prediction.get("result"), list):
            remarks.lines.append(f"{where}, prediction {number}: it has no list of results; left out")
        elif parse_queue_name(version := str(prediction.get("model_version") or "imported")) is not None:
            remarks.lost["our own orders, which are made again"] += 1
        else:
            score = _number(prediction.get("score"))
            kept = {"result": prediction["result"], "model_version": version}
            yield kept if score is None else kept | {"score": score}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _flat_row(where: str, row: Mapping[str, Any], question: ChoiceQuestion, remarks: Remarks) -> ImportItem:
    """A row of Label Studio's JSON-MIN, CSV or TSV export: a task with one answer at most."""
    data = {name: value for name, value in row.items() if name not in MIN_COLUMNS and name != question.control}
    if row["annotation_id"] in (None, ""):
        return ImportItem(where, data)
    label = row.get(question.control)
    return ImportItem(where, data, annotations=(_answer(where, row, label, question, remarks),))


def _own_row(where: str, row: Mapping[str, Any], question: ChoiceQuestion | None, remarks: Remarks) -> ImportItem:
    """A row of ``lsal export``."""
    data = row.get("data")
    if not isinstance(data, Mapping):
        prefixed = {name: value for name, value in row.items() if name.startswith(DATA_PREFIX)}
        data = {name.removeprefix(DATA_PREFIX): _cell(value) for name, value in prefixed.items() if value != ""}
        remarks.lost["whether a value is a number or a text (a JSON file keeps it)"] += 1
    if question is None:
        return ImportItem(where, data, row["label"], is_task=True, columns=row)
    if row.get("control") not in (None, "", question.control):
        remarks.lines.append(f'{where}: it answers "{row["control"]}", not the question of the project')
        return ImportItem(where, data, is_task=True, columns=row)
    if row["annotation_id"] in (None, ""):
        return ImportItem(where, data, is_task=True, columns=row)
    answer = _answer(where, dict(row) | {"was_cancelled": row.get("skipped")}, row["label"], question, remarks)
    return ImportItem(where, data, annotations=(answer,), is_task=True, columns=row)


def _answer(
    where: str, row: Mapping[str, Any], label: Any, question: ChoiceQuestion, remarks: Remarks
) -> dict[str, Any]:
    chosen = label.get("choices") if isinstance(label, dict) else label
    result: list[dict[str, Any]] = []
    if question.multiple:
        result = annotation_result(set_in(label, question) or "", question)
    elif chosen not in (None, ""):
        result = annotation_result("", question)
        result[0]["value"] = {"choices": chosen if isinstance(chosen, list) else [chosen]}
        known = read_answer(result, question).label
        result = result if known is None else annotation_result(known, question)
    kept = _annotation({**row, "result": result, "completed_by": row["annotator"], "prediction": None}, remarks)
    _remark(where, kept, question, remarks)
    return kept


def _cell(value: Any) -> Any:
    """A cell of one of our CSV files, in which lists and objects are JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
