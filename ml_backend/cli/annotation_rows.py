"""Annotations as rows, each with the model and the strategy that asked for it; the rows as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ml_backend.errors import DataError, LabelStudioError
from ml_backend.evaluation.agreement import consensus
from ml_backend.files import AtomicWriter, for_people
from ml_backend.label_studio.answers import label_of
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.records import Annotation

COLUMNS: Final = (
    "task_id",
    "annotation_id",
    "label",
    "consensus_label",
    "annotator",
    "created_at",
    "updated_at",
    "lead_time",
    "skipped",
    "ground_truth",
    "queue",
    "model_version",
    "strategy",
    "predicted_label",
)
"""A row without its task's data. ``lead_time`` is in seconds; the last four are empty where no prediction was shown."""
DATA_PREFIX: Final = "data."
"""Begins the CSV columns of task data fields."""
SHORT_URI: Final = 40


def annotators(client: LabelStudioClient) -> dict[int, str]:
    """E-mail addresses by account id; empty where this account may not read them."""
    try:
        rows = client.request("GET", "api/users/", what="The list of accounts").json()
    except LabelStudioError:
        return {}
    return {row["id"]: row["email"] for row in rows if row.get("email")}


def annotation_rows(
    tasks: Iterable[Mapping[str, Any]], question: ChoiceQuestion, emails: Mapping[int, str]
) -> Iterator[dict[str, Any]]:
    """One row for each annotation of an export, in the order of tasks and annotations."""
    for task in sorted(tasks, key=lambda task: task["id"]):
        raw = sorted(task["annotations"], key=lambda annotation: annotation["id"])
        records = [_record(annotation, question) for annotation in raw]
        agreed = consensus(records)
        for annotation, record in zip(raw, records, strict=True):
            yield {
                "task_id": task["id"],
                "annotation_id": record.id,
                "label": record.label,
                "consensus_label": agreed,
                "annotator": emails.get(record.annotator or 0, record.annotator),
                "created_at": annotation["created_at"],
                "updated_at": annotation["updated_at"],
                "lead_time": annotation.get("lead_time"),
                "skipped": record.cancelled,
                "ground_truth": bool(annotation.get("ground_truth")),
                **_origin(annotation.get("prediction") or {}, question),
                "data": task["data"],
            }


def _record(annotation: Mapping[str, Any], question: ChoiceQuestion) -> Annotation:
    return Annotation(
        id=annotation["id"],
        annotator=annotation.get("completed_by"),
        updated_at=datetime.fromisoformat(annotation["updated_at"]),
        cancelled=bool(annotation.get("was_cancelled")),
        label=label_of(annotation.get("result"), question),
    )


def _origin(prediction: Mapping[str, Any], question: ChoiceQuestion) -> dict[str, str | None]:
    """What the annotation's snapshot of the served prediction tells; a version that is no queue's name is kept."""
    name = prediction.get("model_version") or None
    queue = parse_queue_name(name)
    return {
        "queue": name if queue else None,
        "model_version": queue.version if queue else name,
        "strategy": queue.strategy if queue else None,
        "predicted_label": label_of(prediction.get("result"), question),
    }


def csv_text(rows: Sequence[Mapping[str, Any]], *, full: bool = False) -> str:
    """The rows as CSV, with a column ``data.<field>`` for each task data field."""
    fields = list(dict.fromkeys(name for row in rows for name in row["data"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *(DATA_PREFIX + name for name in fields)])
    for row in rows:
        data = [_cell(row["data"].get(name), full=full) for name in fields]
        writer.writerow([*(_cell(row[name], full=True) for name in COLUMNS), *data])
    return buffer.getvalue()


def _cell(value: Any, *, full: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not full and value.startswith("data:") and len(value) > SHORT_URI:
        return f"{value[:SHORT_URI]}... ({len(value):,} characters)"
    return value


def write_whole(path: Path, text: str, writer: AtomicWriter = for_people) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    try:
        writer.write_text(path, text)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}") from exc
