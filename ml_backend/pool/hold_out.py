"""Evaluation tasks of a pool: drawn uniformly from all of its rows, whatever a model says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ml_backend.draws import Ids, draws_for
from ml_backend.errors import DataError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.pool.document import required
from ml_backend.pool.feeding import Fed, feed, finish, rows_there
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.row_tasks import picture_data
from ml_backend.pool.rows import Rows
from ml_backend.pool.scoring import Top
from ml_backend.pool.source import Source
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Progress, no_progress
from ml_backend.store.project_store import ProjectStore

STREAM: Final = 21
"""Added to the seed: the draw of evaluation tasks is none of those that choose what people are asked."""
SPARE: Final = 1.1
"""Rows drawn for each one that is wanted: some cannot be read."""
FEWEST_LEFT: Final = 0.5
"""Share of the pool that must stay to be asked about."""


def hold_out(
    client: LabelStudioClient,
    project_id: int,
    store: ProjectStore,
    count: int,
    *,
    seed: int,
    progress: Progress = no_progress,
) -> tuple[Fed, int]:
    """Make evaluation tasks of rows, so that there are ``count`` from the pool; what became tasks, and how many before.

    Args:
        client: Label Studio.
        project_id: the project.
        store: the project's; its lock is taken.
        count: how many in all.
        seed: fixes which.
        progress: gets how many are in.

    Raises:
        DataError: no pool is connected, it cannot be read, or has too few rows. ProjectBusy: a round is under way.
        LabelStudioError: Label Studio failed; the next round, or this command, sends the rest.
    """
    pool = required(store)
    source = Source(pool)
    source.check()
    cache = TaskCache(store.task_cache_path)

    def read() -> Any:
        cache.refresh(client, project_id)
        return cache.tasks()

    with store.lock():
        finish(client, project_id, store, read)
        there = rows_there(read())
        before = sum(any(task.is_evaluation for task in tasks) for tasks in there.values())
        wanted = count - before
        if wanted <= 0:
            return Fed(), before
        drawn = drawn_rows(source.ids(), row_keys(sorted(there)), wanted, seed, pool.url)
        rows, lost = evaluation_rows(source, drawn)
        return replace(feed(client, project_id, store, rows[:wanted], progress), lost=lost), before


def evaluation_rows(source: Source, drawn: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The data of their tasks, and the rows that cannot be read, each with the reason. Raises DataError: the pool."""
    made, lost = picture_data(source, drawn)
    return [data | {EVALUATION_FIELD: EVALUATION_SPLIT} for data in made.values()], lost


def drawn_rows(batches: Iterable[Any], taken: Ids, count: int, seed: int, url: str) -> list[str]:
    """The first rows in the order of evaluation tasks that are no tasks yet, and some more."""
    top, total = Top(round(SPARE * count) + 5, seed), 0
    for ids in batches:
        named = ids.drop_null()
        total += len(named)
        rows = Rows.of(named.combine_chunks() if hasattr(named, "combine_chunks") else named, _nothing(len(named)))
        rows = rows.take(~np.isin(rows.keys, taken))
        top.add(rows, draws_for(rows.keys, seed + STREAM))
    if count > FEWEST_LEFT * total:
        raise DataError(f"{url} has {total:,} rows: {count:,} more evaluation tasks would leave too few to ask about.")
    found = top.rows()
    return [] if found is None else found.names


def _nothing(count: int) -> Any:
    return np.zeros((count, 0), np.float16)
