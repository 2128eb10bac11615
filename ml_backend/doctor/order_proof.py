"""Proves that Label Studio serves what was published: walks through the label stream like an annotator and compares."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Prediction, Queue
from ml_backend.store.documents import MOVES
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_reorderings import paused

LONGEST: Final = 600.0
"""Seconds after which the order may move again if a proof was killed."""
LATE: Final = 3.0
"""Seconds during which the backend may still be told of a proof's answers."""


@dataclass(frozen=True)
class OrderProof:
    """What was served, compared with what was published."""

    expected: tuple[int, ...]
    served: tuple[int, ...]
    held: int | None = None
    """A task that this account already had open: Label Studio serves it first, whatever the order is."""

    @property
    def holds(self) -> bool:
        """Whether the served order is the published one."""
        return self.served == self.expected

    def difference(self) -> str:
        """The first place where the two orders differ, in words; empty if they do not."""
        for place, (expected, served) in enumerate(zip(self.expected, self.served, strict=False), start=1):
            if expected != served:
                return f"place {place}: published task {expected}, served task {served}"
        if len(self.served) < len(self.expected):
            return f"the stream ended after {len(self.served)} of {len(self.expected)} published tasks"
        return ""


@contextmanager
def standing(store: ProjectStore, *, timeout: float = 0, clock: Callable[[], float] = time.time) -> Iterator[None]:
    """Keep the order as it is during a proof: no round runs (it would learn the answers), and nothing is moved.

    Args:
        store: the project's store.
        timeout: seconds to wait for a round.
        clock: seconds since 1970.

    Raises:
        StoreError: a round is running, or the folder cannot be written.
    """
    with store.lock(timeout=timeout):
        store.edit_document(MOVES, lambda content: paused(content, clock() + LONGEST))
        try:
            yield
        finally:
            store.edit_document(MOVES, lambda content: paused(content, clock() + LATE))


def prove_order(
    client: LabelStudioClient,
    project_id: int,
    queue: Queue,
    question: ChoiceQuestion | None,
    *,
    count: int,
) -> OrderProof:
    """Take the next ``count`` tasks from "Label All Tasks" and compare them with a freshly published queue.

    A task leaves the stream only when it is answered. So each is answered with the model's guess, or with another
    model's prediction if there is no question. At the end all these answers are deleted, whatever happens, and the
    tasks are open again.
    """
    expected = tuple(item.task_id for item in queue.predictions[:count])
    guesses = {item.task_id: item for item in queue.predictions}
    served: list[int] = []
    written: list[int] = []
    held = None
    try:
        while len(served) < len(expected):
            row = client.next_task(project_id)
            if row is None:
                break
            task_id = int(row["id"])
            written.append(client.annotate(task_id, _answer(guesses.get(task_id), question)))
            if not served and held is None and task_id != expected[0]:
                held = task_id
                if task_id in expected:  # it will not come a second time
                    expected = tuple(item for item in expected if item != task_id)
                continue
            served.append(task_id)
    finally:
        _delete_all(client, written)
    return OrderProof(expected, tuple(served), held)


def _answer(item: Prediction | None, question: ChoiceQuestion | None) -> list[Mapping[str, Any]]:
    """The model's guess or the first label; without a question, the regions of the other model's prediction, if any."""
    if question is None:
        return list((item.result if item else None) or ())
    return [*result_for((item.label if item else None) or question.labels[0], 1.0, question)]


def _delete_all(client: LabelStudioClient, annotations: Sequence[int]) -> None:
    for annotation in annotations:
        client.delete_annotation(annotation)
