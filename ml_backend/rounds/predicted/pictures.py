"""The pictures of an order's tasks, kept small for the dashboard: these rounds need none themselves."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ml_backend.errors import ActiveLearningError
from ml_backend.fetching.budget import Budget
from ml_backend.label_studio.config_objects import ShownObject
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_fields import field_value
from ml_backend.records import Queue, Task
from ml_backend.rounds.predicted.reading import PredictedProject
from ml_backend.rounds.vector_reading import FETCHERS
from ml_backend.rounds.workspace import Run

MOST: Final = 200
"""Pictures of one round: people look at the front of an order."""


def keep_pictures(project: PredictedProject, queue: Queue, run: Run) -> None:
    """Fetch those of the first tasks that this machine does not have; what fails is counted, and fails no round."""
    if project.layout.object_tag != "Image":
        return
    workspace = run.workspace
    with run.step("pictures") as step:
        cache = TaskCache(project.store.task_cache_path)
        front = [item.task_id for item in queue.predictions[:MOST]]
        wanted = list(_unread(cache, front, project.layout.field))
        budget = Budget(workspace.media_seconds, what="one round")
        media = MediaReader(workspace.client, cache.cached_media, cache.keep_thumbnail, workspace.fetcher, budget)
        shown = ShownObject("", "Image", "Image", project.layout.field)
        with ThreadPoolExecutor(FETCHERS) as executor:
            read = sum(executor.map(lambda task: _is_kept(media, task, shown), wanted))
        step.detail = f"{read} read for the dashboard"
        step.detail += f"; {len(wanted) - read} cannot be had" if read < len(wanted) else ""


def _unread(cache: TaskCache, task_ids: Iterable[int], field: str) -> Iterable[Task]:
    for task in cache.find(task_ids):
        url = field_value(task.data, field)
        if isinstance(url, str) and not url.strip().startswith("data:") and cache.picture(url.strip()) is None:
            yield task


def _is_kept(media: MediaReader, task: Task, shown: ShownObject) -> bool:
    try:
        media.shown(task, shown)
    except ActiveLearningError:
        return False
    return True
