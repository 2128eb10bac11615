"""What a round does about its pool beside the order: finish what was cut off, take tasks back, embed new rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.publishing import is_over
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.feeding import finish, rows_there, surplus
from ml_backend.pool.row_items import Suited
from ml_backend.pool.source import Source
from ml_backend.records import FIRST_ROW, Task
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import RoundProject
from ml_backend.store.project_store import ProjectStore

GRACE: Final = timedelta(hours=1)
"""How long a task that lost its place stays all the same: somebody may have its page open."""


def settle(client: LabelStudioClient, project_id: int, store: ProjectStore, recorder: Recorder) -> None:
    """Finish what a round that was cut off announced, and take away the second task of a row that has two.

    Raises:
        LabelStudioError: it failed; a later round tries again. StoreError: the note is damaged.
    """
    cache = TaskCache(store.task_cache_path)

    def read() -> Iterator[Task]:
        cache.refresh(client, project_id)
        return cache.tasks()

    if finish(client, project_id, store, read) is not None:
        recorder.warn("An earlier round was cut off while rows of the pool became tasks: that is finished now.")
    if doubled := surplus(rows_there(cache.tasks())):
        client.delete_unanswered(project_id, doubled)
        recorder.warn(f"{len(doubled)} rows of the pool had two tasks; those that nobody answered are deleted.")


def take_back(project: RoundProject, client: LabelStudioClient, recorder: Recorder, *, grace: timedelta = GRACE) -> int:
    """Delete open tasks of a pool that no order of the last hour holds; how many. Their rows may come again.

    Args:
        project: as it is after the round; only open tasks are looked at, so nothing that anybody answered, skipped or
            wants first.
        client: Label Studio.
        recorder: times it.
        grace: of an order that was replaced.

    Raises:
        LabelStudioError: it failed. StoreError: a stored order is damaged.
    """
    queue = recorder.report.queue
    if queue is None or not project.settings.pool_take_back:
        return 0
    held = {item.task_id for item in queue.predictions} | set(project.overrides.front)
    for name, age in client.version_ages(project.now.id).items():
        if parse_queue_name(name) is not None and not is_over(name, age, queue.name, grace):
            held |= _tasks_of(project, name)
    over = [task.id for task in project.pool.open if task.id < FIRST_ROW and task.id in project.keys]
    over = [task for task in over if task not in held]
    if over:
        with recorder.step("take back") as step:
            client.delete_unanswered(project.now.id, over)
            step.detail = f"{len(over):,} tasks"
    return len(over)


def _tasks_of(project: RoundProject, queue: str) -> set[int]:
    try:
        return {item.task_id for item in project.store.queue(queue).predictions}
    except StoreError:
        return {task.id for task in project.pool.open}  # nobody knows what it held: nothing is taken back


def embed_new(settings: Settings, source: Source, found: Suited, recorder: Recorder, known: str) -> str:
    """Give new rows of a pool that has grown their vectors; what its files look like, to tell whether they change.

    Args:
        settings: the installation's.
        source: the pool.
        found: its vectors.
        recorder: times it.
        known: what this gave before; while it stays the same nothing is read.

    Raises:
        DataError: the pool cannot be read. StoreError: another process embeds it, or the disk is full.
    """
    listing = source.listing
    files = f"{listing.count} files, {listing.size} bytes"
    if files == known:
        return known
    with recorder.step("embed new rows") as step:
        done, _ = embed_pool(settings, found.project.store, encoder=found.encoder, progress=step.progress)
        step.detail = f"{done.new:,} of {done.rows:,} rows" + (f", {done.gone:,} gone" if done.gone else "")
        step.detail += f", {done.changed:,} changed" if done.changed else ""
    return files
