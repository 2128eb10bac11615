"""A project in Label Studio's own JSON form, which its import and ``lsal import`` read."""

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
    """All tasks by rising id, with their annotations and other people's predictions.

    Label Studio's import forgets who annotated when, and what the annotation was asked under. The task's ``meta``,
    which it keeps, carries that under the annotation's id.

    Args:
        tasks: as Label Studio exports them, those without annotations too.
        rows: of the same tasks, see `rows.annotation_rows`.
        predictions: all of the project. Our own are an order, which a round makes anew: they are left out.
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
    if isinstance(meta, dict):  # Label Studio takes lists there, too, in which nothing can be carried
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
    """With the person by address: a number means another person in another installation."""
    person = annotation.get("completed_by")
    email = emails.get(person) if isinstance(person, int) else None
    return {**annotation, "completed_by": {"id": person, "email": email} if email else person}
