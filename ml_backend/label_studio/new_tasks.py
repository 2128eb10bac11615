"""New tasks into Label Studio: as rows with their labels and their split, each content once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.errors import LabelStudioError
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.importing import NewTask, content_key
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Progress, no_progress

KEY_FIELD: Final = "import_key"
"""Task data field that holds the content key."""
BATCH: Final = 1_000
"""Tasks in one call."""


def known_keys(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> set[str]:
    """Keys of the tasks that are in the project, whoever imported them."""
    keys = set()
    for page in client.all_tasks(project_id):
        for row in page:
            data = row["data"]
            keys.add(data.get(KEY_FIELD) or content_key(str(question.value(data) or "")))
    return keys


def import_row(
    task: NewTask, question: ChoiceQuestion, evaluation: set[str], *, with_labels: bool = True
) -> dict[str, Any]:
    """One task as Label Studio imports it. Held-out labels count as ground truth there, others do not."""
    held_out = task.key in evaluation
    data = task.data | {KEY_FIELD: task.key} | ({EVALUATION_FIELD: EVALUATION_SPLIT} if held_out else {})
    row: dict[str, Any] = {"data": data}
    if task.label is not None and (with_labels or held_out):
        row["annotations"] = [{"result": annotation_result(task.label, question), "ground_truth": held_out}]
    return row


def send(
    client: LabelStudioClient,
    project_id: int,
    rows: Sequence[Mapping[str, Any]],
    progress: Progress = no_progress,
    *,
    batch: int = BATCH,
) -> None:
    """Import in batches.

    Raises:
        LabelStudioError: a batch failed; those before it are in Label Studio.
    """
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        try:
            client.import_tasks(project_id, part)
        except LabelStudioError as exc:
            story = f"{exc} {start:,} of {len(rows):,} tasks are in; run the same command again for the rest."
            raise type(exc)(story) from exc
        progress(start + len(part), len(rows))
