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
from ml_backend.pool.document import Pool
from ml_backend.pool.embed import Embedded
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.encoders import PoolEncoder
from ml_backend.pool.feeding import finish, rows_there, surplus
from ml_backend.pool.row_items import Suited
from ml_backend.pool.source import Source
from ml_backend.records import FIRST_ROW, Task
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.report import Recorder
from ml_backend.store.project_store import ProjectStore

GRACE: Final = timedelta(hours=1)
"""How long a task that lost its place stays all the same: somebody may have its page open."""

SHARE: Final = 0.4
"""Of the time that a round may take, for embedding: once before the search, or once after it."""
ENOUGH: Final = 0.9
"""Share of a pool's rows that must be embedded: what is drawn from fewer would be no sample of it."""


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


def take_back(project: RoundProject, client: LabelStudioClient, recorder: Recorder) -> int:
    """Delete open tasks of a pool that no order of the last hour holds; how many. Their rows may come again.

    Args:
        project: as it is after the round; only open tasks are looked at, so nothing that anybody answered, skipped or
            wants first.
        client: Label Studio.
        recorder: times it.

    Raises:
        LabelStudioError: it failed. StoreError: a stored order is damaged.
    """
    queue = recorder.report.queue
    if queue is None or not project.settings.pool_take_back:
        return 0
    held = {item.task_id for item in queue.predictions} | set(project.overrides.front)
    for name, age in client.version_ages(project.now.id).items():
        if parse_queue_name(name) is not None and not is_over(name, age, queue.name, GRACE):
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
    files = _look_of(source)
    if files == known:
        return known
    done = _embedded(settings, found.project.store, recorder, found.encoder)
    return known if done.left else files


def is_embedded(found: Suited | None, pool: Pool) -> bool:
    """Whether so many rows have vectors that all of them can be spoken of."""
    return found is not None and found.vectors.count() + found.vectors.count_bad() >= ENOUGH * pool.rows


def _look_of(source: Source) -> str:
    found = source.listing
    return f"{found.count} files, {found.size} bytes" + (f", changed {found.newest}" if found.newest else "")


def embed_first(settings: Settings, source: Source, store: ProjectStore, recorder: Recorder) -> str:
    """Give the rows of a pool their vectors before it is searched, or go on with that; as `embed_new`.

    Args:
        settings: the installation's.
        source: the pool.
        store: the project's.
        recorder: times it.

    Raises:
        DataError: the pool cannot be read. StoreError: another process embeds it, or the disk is full; or the time of
            this round is up, and the next one goes on.
    """
    done = _embedded(settings, store, recorder, None)
    if done.left:
        raise StoreError(
            f"{done.rows - done.left:,} of {done.rows:,} rows are embedded by now; the next round goes on. "
            f"lsal pool embed --project {store.uid.split('.', 1)[0]} does it in one go."
        )
    return _look_of(source)


def _embedded(settings: Settings, store: ProjectStore, recorder: Recorder, encoder: PoolEncoder | None) -> Embedded:
    """What a round embeds, in the time that it has for that."""
    with recorder.step("embed new rows") as step:
        limit = SHARE * settings.round_seconds
        done, _ = embed_pool(settings, store, encoder=encoder, seconds=limit, progress=step.progress)
        step.detail = f"{done.new:,} of {done.rows:,} rows" + (f", {done.gone:,} gone" if done.gone else "")
        step.detail += f", {done.changed:,} changed" if done.changed else ""
        step.detail += f", {done.left:,} left for the next round" if done.left else ""
    return done
