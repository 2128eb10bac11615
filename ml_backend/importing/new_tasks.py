"""Imports new tasks into Label Studio, with their labels and their split, each content only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ml_backend.errors import LabelStudioError, LabelStudioRejected
from ml_backend.importing.reading import NewTask, content_key
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Progress, no_progress

KEY_FIELD: Final = "import_key"
"""Task data field that holds the content key."""
BATCH: Final = 1_000
"""Number of tasks in one call."""
MOST_CHARACTERS: Final = 50_000_000
"""Characters in the data of one call's tasks; Label Studio accepts 250 MB."""
MOST_REFUSED: Final = 100
"""Rows that Label Studio may refuse; if more are refused, the rows are not the cause."""
SHOWN_REFUSAL: Final = 300
"""Characters of Label Studio's reason that are shown, because the reason repeats the row."""


def known_keys(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> set[str]:
    """Keys of the tasks already in the project, whoever imported them."""
    keys = set()
    for page in client.all_tasks(project_id):
        for row in page:
            data = row["data"]
            keys.add(data.get(KEY_FIELD) or content_key(str(question.value(data) or "")))
    return keys


def import_row(
    task: NewTask, question: ChoiceQuestion, evaluation: set[str], *, with_labels: bool = True
) -> dict[str, Any]:
    """One task in the form of Label Studio's import.

    Labels of held-out tasks are marked as ground truth, others are not.
    """
    held_out = task.key in evaluation
    data = task.data | {KEY_FIELD: task.key} | ({EVALUATION_FIELD: EVALUATION_SPLIT} if held_out else {})
    row: dict[str, Any] = {"data": data}
    if task.predictions:
        row["predictions"] = list(task.predictions)
    if task.meta is not None:
        row["meta"] = task.meta
    held_out = data.get(EVALUATION_FIELD) == EVALUATION_SPLIT
    if task.annotations and (with_labels or held_out):
        row["annotations"] = [
            {**given, "ground_truth": given["ground_truth"] or task.key in evaluation} for given in task.annotations
        ]
    elif task.label is not None and (with_labels or held_out):
        row["annotations"] = [{"result": annotation_result(task.label, question), "ground_truth": held_out}]
    return row


Refused = Callable[[int, str], None]
"""Called with the position of a row that Label Studio refused, and the reason."""


def send(
    client: LabelStudioClient,
    project_id: int,
    rows: Sequence[Mapping[str, Any]],
    progress: Progress = no_progress,
    *,
    batch: int = BATCH,
    refused: Refused | None = None,
    rest: str = "run the same command again for the rest",
) -> list[int | None]:
    """Import in batches. Returns the tasks' ids in the order of the rows, None for each row that was refused.

    Args:
        client: client of Label Studio.
        project_id: the project.
        rows: in the form of Label Studio's import.
        progress: called with the number of rows imported so far.
        batch: rows per call.
        refused: called with each row that Label Studio refuses. It accepts or refuses a call as a whole, so such rows
            are found by halving. Without it, a refusal is an error.
        rest: what to do about the remaining rows if a batch fails, for the error message.

    Raises:
        LabelStudioError: a batch failed; the batches before it are in Label Studio.
    """
    sending = _Sending(client, project_id, rows, refused)
    done = 0
    for start, end in _parts(rows, batch):
        try:
            sending.send(start, end)
        except LabelStudioError as exc:
            raise type(exc)(f"{exc} {done:,} of {len(rows):,} tasks are in; {rest}.") from exc
        done = end
        progress(done, len(rows))
    return sending.ids


class _Sending:
    """One import: the ids so far, and how many more rows may be refused."""

    def __init__(
        self, client: LabelStudioClient, project_id: int, rows: Sequence[Mapping[str, Any]], refused: Refused | None
    ) -> None:
        self._client, self._project_id, self._rows, self._refused = client, project_id, rows, refused
        self._left = MOST_REFUSED
        self.ids: list[int | None] = [None] * len(rows)

    def send(self, start: int, end: int) -> None:
        """Send some rows in one call. If they are refused, and single rows may be, try each half."""
        try:
            self.ids[start:end] = self._client.import_tasks(self._project_id, self._rows[start:end])
        except LabelStudioRejected as exc:
            if self._refused is None or self._left <= 0:
                raise
            if end - start > 1:
                middle = (start + end) // 2
                self.send(start, middle)
                self.send(middle, end)
                return
            self._left -= 1
            self._refused(start, str(exc)[:SHOWN_REFUSAL])


def _parts(rows: Sequence[Mapping[str, Any]], batch: int) -> Iterator[tuple[int, int]]:
    """Where each call begins and ends: a limited number of rows, and not too many characters of embedded pictures."""
    start = size = 0
    for place, row in enumerate(rows):
        weight = sum(len(value) for value in row["data"].values() if isinstance(value, str))
        if place > start and (place - start >= batch or size + weight > MOST_CHARACTERS):
            yield start, place
            start = place
            size = 0
        size += weight
    if rows:
        yield start, len(rows)
