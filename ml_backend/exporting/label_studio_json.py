"""Exports a project in Label Studio's own JSON form, which Label Studio and ``lsal import`` can import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ml_backend.exporting.rows import carried
from ml_backend.importing.items import CARRIED as MARK
from ml_backend.label_studio.queue_names import parse_queue_name

PREDICTION: Final = ("model_version", "score", "result")


def label_studio_tasks(
    tasks: Iterable[Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    predictions: Iterable[Mapping[str, Any]],
    emails: Mapping[int, str],
) -> list[dict[str, Any]]:
    """All tasks by ascending id, with their annotations and other people's predictions.

    Label Studio's import drops when and by whom an annotation was made, and how its task was chosen. It keeps the
    task's ``meta``, so that information is put there, under the annotation's id.

    Args:
        tasks: in the form of Label Studio's export, including those without annotations.
        rows: of the same tasks, see `rows.annotation_rows`.
        predictions: all of the project. Our own are left out: they are only an order, and the next round makes a new
            one.
        emails: account id → e-mail address.
    """
    by_task: dict[int, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_task.setdefault(row["task_id"], {})[str(row["annotation_id"])] = carried(row)
    others: dict[int, list[dict[str, Any]]] = {}
    for prediction in sorted(predictions, key=lambda prediction: int(prediction["id"])):
        if parse_queue_name(prediction.get("model_version")) is None:
            others.setdefault(prediction["task"], []).append({name: prediction.get(name) for name in PREDICTION})
    return [
        _task(task, by_task.get(task["id"], {}), others.get(task["id"], []), emails)
        for task in sorted(tasks, key=lambda task: int(task["id"]))
    ]


def _task(
    task: Mapping[str, Any],
    marks: Mapping[str, Mapping[str, Any]],
    predictions: Sequence[Mapping[str, Any]],
    emails: Mapping[int, str],
) -> dict[str, Any]:
    meta = task.get("meta") or {}
    if isinstance(meta, dict):  # Label Studio also accepts lists there, which cannot carry anything
        meta = {name: value for name, value in meta.items() if name != MARK} | ({MARK: marks} if marks else {})
    annotations = sorted(task["annotations"], key=lambda annotation: int(annotation["id"]))
    return {
        **task,
        "meta": meta,
        "annotations": [_annotation(annotation, emails) for annotation in annotations],
        "predictions": list(predictions),
        "drafts": [],
    }


def _annotation(annotation: Mapping[str, Any], emails: Mapping[int, str]) -> dict[str, Any]:
    """An annotation that names the person by address, because ids differ between installations."""
    person = annotation.get("completed_by")
    email = emails.get(person) if isinstance(person, int) else None
    return {**annotation, "completed_by": {"id": person, "email": email} if email else person}
