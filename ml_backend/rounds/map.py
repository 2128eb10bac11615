"""The step of a round that draws the map: which tasks, what the model says of each, where they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ml_backend.draws import Ids
from ml_backend.extras import is_installed
from ml_backend.label_sets import unpack
from ml_backend.models.base import Model
from ml_backend.records import FIRST_ROW, Task
from ml_backend.rounds.project import RoundProject, read_tasks
from ml_backend.rounds.projection import NOTHING, lay_out, place_new
from ml_backend.rounds.report import Report
from ml_backend.rounds.workspace import Run
from ml_backend.selection.context import strategy_in_use
from ml_backend.selection.scoring import Scores, score_items
from ml_backend.store.pool_map import EVALUATION, LABELLED, OPEN, QUEUED, UNKNOWN, Layout, PoolMap, choose_shown
from ml_backend.store.project_store import ProjectStore

MOST_ROWS: Final = 2_000
"""Of a pool outside Label Studio: they show where its rows lie, and nobody has to tell them apart."""
NEEDED: Final = 2
"""Tasks that make a map."""


def draw(project: RoundProject, run: Run, *, installed: Callable[[str], bool] = is_installed) -> None:
    """Draw the pool as the served version sees it, beside the version; a failure is a warning and fails no round.

    Without the dashboard's extra nothing would show it, and what draws it is not there.
    """
    version = run.report.version
    if not project.settings.map or version is None or not (installed("dash") and installed("umap")):
        return
    with run.recorder.sparing_the_round("drawing the map", "The map is not up to date"):
        model = run.workspace.library.load(project.store, version)
        if not hasattr(model, "embed"):
            return
        with run.step("map") as step:
            drawn = _drawn(project, run.report, model, version)
            if drawn is not None:
                project.store.write_map(version, drawn)
                sampled = f", {len(drawn.rows)} rows" if len(drawn.rows) else ""
                step.detail = f"{len(drawn.task_ids)} of {drawn.pool} tasks{sampled}"


def _drawn(project: RoundProject, report: Report, model: Model, version: str) -> PoolMap | None:
    tasks, states, labels = _shown(project, report)
    sample = project.outside.sample(project, MOST_ROWS) if project.outside else []
    examples = read_tasks([*tasks, *sample], project, report)
    ids = examples.task_ids
    count = int((ids < FIRST_ROW).sum())  # tasks come first
    if count < NEEDED:
        return None
    before, same_model = _last(project.store, version)
    embeddings = model.embed(examples.items)
    if same_model and np.isin(ids, before.task_ids).any():
        layout = place_new(embeddings, ids, before)
    else:
        layout = lay_out(embeddings, ids, before, seed=project.settings.seed)
    rows, row_places = ids[count:], layout.places[count:]
    ids = ids[:count]
    scores = _scores(project, model, examples.items[:count], ids)
    index = {label: number for number, label in enumerate(project.question.labels)}
    return PoolMap(
        ids,
        layout.places[:count],
        np.array([states[int(task)] for task in ids], dtype=np.uint8),
        np.array([index.get(_first(labels.get(int(task), "")), UNKNOWN) for task in ids], dtype=np.int16),
        scores.winner.astype(np.int16),
        scores.confidence.astype(np.float32),
        scores.uncertainty.astype(np.float32),
        pool=project.pool.size,
        rows=rows,
        row_places=row_places,
    )


def _shown(project: RoundProject, report: Report) -> tuple[list[Task], dict[int, int], dict[int, str]]:
    """The tasks to show, the state of each, and the labels that there are."""
    pool = project.pool
    known = {task.id: task for task in pool.open if task.id < FIRST_ROW}  # a row that is no task has no page
    queued = [item.task_id for item in report.queue.predictions] if report.queue else []
    groups = {
        QUEUED: [task for task in queued if task in known],
        LABELLED: [task.id for task, _ in pool.training],
        EVALUATION: [task.id for task, _ in pool.evaluation],
        OPEN: sorted(known.keys() - set(queued)),
    }
    # A task that wants another answer is open and labelled at once: it is shown as what it is to the queue.
    seen: set[int] = set()
    for state, ids in groups.items():
        groups[state] = [task for task in ids if task not in seen]
        seen.update(ids)
    states = {task: state for state, ids in choose_shown(groups, seed=project.settings.seed).items() for task in ids}
    labelled = [*pool.training, *pool.evaluation]
    known |= {task.id: task for task, _ in labelled}
    return [known[task] for task in sorted(states)], states, {task.id: label for task, label in labelled}


def _first(label: str) -> str:
    """The label, of a set the first: a point has one colour."""
    return next(iter(unpack(label)), "")


def _last(store: ProjectStore, version: str) -> tuple[Layout, bool]:
    """The map to go on from, and whether it is of this version; an empty one where there is none."""
    own = store.map(version)
    if own is not None:
        return own.layout, True
    for name in reversed(store.versions()):
        drawn = store.map(name)
        if drawn is not None:
            return drawn.layout, False
    return NOTHING, False


def _scores(project: RoundProject, model: Model, items: list[object], ids: Ids) -> Scores:
    strategy = strategy_in_use(project.settings, trained=True)
    return score_items(model, items, ids, project.settings.override({"strategy": strategy}, where="Map"))
