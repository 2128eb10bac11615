"""Rows of a pool into Label Studio: through the ordinary import, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.pool.announce import ROW_FIELD, announce, announced, settle
from ml_backend.records import Progress, Task, no_progress
from ml_backend.store.project_store import ProjectStore

REST: Final = "the next round sends the rest"


@dataclass(frozen=True)
class Fed:
    """What Label Studio took."""

    tasks: Mapping[str, int] = field(default_factory=dict)
    """Id of a row → id of its task."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Id of a row → why Label Studio did not take it."""
    lost: Sequence[str] = ()
    """Rows that cannot be read, each with the reason."""


def feed(
    client: LabelStudioClient,
    project_id: int,
    store: ProjectStore,
    rows: Sequence[Mapping[str, Any]],
    progress: Progress = no_progress,
) -> Fed:
    """Make tasks of rows. The caller holds the project's lock, and knows that none of them is a task.

    Args:
        client: Label Studio.
        project_id: the project.
        store: the project's, which takes the note of what is under way.
        rows: data of the tasks, each with its row's id in ``pool_id``.
        progress: gets how many are in.

    Raises:
        LabelStudioError: some are not in, as far as is known; they stay announced, and `finish` sends them.
        StoreError: they cannot be announced; nothing was sent.
    """
    if not rows:
        return Fed()
    announce(store, rows)
    fed = _send(client, project_id, rows, progress)
    settle(store)
    return fed


def finish(
    client: LabelStudioClient, project_id: int, store: ProjectStore, read: Callable[[], Iterable[Task]]
) -> Fed | None:
    """Send what was announced, and is not in Label Studio; None where nothing was announced.

    Args:
        client: Label Studio.
        project_id: the project.
        store: the project's.
        read: reads all tasks of the project, as they are now.

    Raises:
        LabelStudioError, StoreError: as from `feed`.
    """
    rows = announced(store)
    if not rows:
        return None
    there = rows_there(read())
    fed = _send(client, project_id, [row for row in rows if row[ROW_FIELD] not in there], no_progress)
    settle(store)
    return fed


def rows_there(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Id of a row → its tasks, by rising id: one, unless an import came through whose answer was lost."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        row = task.data.get(ROW_FIELD)
        if isinstance(row, str):
            found.setdefault(row, []).append(task)
    return found


def surplus(there: Mapping[str, Sequence[Task]]) -> list[int]:
    """Tasks to take away where a row has several: those that nobody answered, but for one of each row."""
    extra: list[int] = []
    for tasks in there.values():
        if len(tasks) > 1:
            kept = next((task for task in tasks if task.annotations), tasks[0])
            extra += [task.id for task in tasks if task is not kept and not task.annotations]
    return extra


def _send(client: LabelStudioClient, project_id: int, rows: Sequence[Mapping[str, Any]], progress: Progress) -> Fed:
    refused: dict[str, str] = {}

    def note(place: int, why: str) -> None:
        refused[rows[place][ROW_FIELD]] = why

    ids = send(client, project_id, [{"data": row} for row in rows], progress, refused=note, rest=REST)
    tasks = {row[ROW_FIELD]: task for row, task in zip(rows, ids, strict=True) if task is not None}
    return Fed(tasks, refused)
