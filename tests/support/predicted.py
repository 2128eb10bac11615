"""A project ordered by another model's predictions, without any Label Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.detections import CONFIG

from ml_backend.config import ProjectSettings
from ml_backend.label_studio.foreign import newest_of
from ml_backend.label_studio.layout import read_layout
from ml_backend.records import Annotation, Project, Queue, Task
from ml_backend.rounds.predicted.pool import divide_answered
from ml_backend.rounds.predicted.queue import make_predicted_queue
from ml_backend.rounds.predicted.reading import PredictedProject, scores_of
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest, RunOptions
from ml_backend.rounds.workspace import Run, Workspace
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides

UID = "7.1700000000"


def annotated(
    task: int, result: Any, *, minute: int = 0, cancelled: bool = False, data: Mapping[str, Any] | None = None
) -> Task:
    """A task that somebody answered."""
    answer = Annotation(task * 10, 1, datetime(2026, 1, 1, 0, minute, tzinfo=UTC), result, cancelled)
    return Task(task, data or {}, not cancelled, (answer,))


def predicted_project(
    root: Path,
    results: Sequence[Any],
    *,
    tasks: Sequence[Task] | None = None,
    config: str = CONFIG,
    dropped: Sequence[int] = (),
    front: Sequence[int] = (),
    scores: Mapping[int, Any] | None = None,
    **settings: Any,
) -> PredictedProject:
    """Tasks 1, 2, …; ``results`` of the first, one prediction each, None for no prediction.

    Args:
        root: of the store.
        results: predictions.
        tasks: open ones by default.
        config: labeling config.
        dropped: tasks that somebody does not want.
        front: tasks that somebody wants first.
        scores: task → score of the whole prediction.
        settings: of the project.
    """
    store, layout = ProjectStore(root, UID), read_layout(config)
    now = Project(7, UID, "a project", config, "", "Uncertainty sampling", 1, len(results), 0)
    rows = [
        {"id": 100 + task, "task": task, "model_version": "yolo-1", "created_at": "2026-01-01", "result": result}
        | {"score": (scores or {}).get(task)}
        for task, result in enumerate(results, 1)
        if result is not None
    ]
    foreign = newest_of(rows)
    pool = divide_answered(tasks or [Task(task, {}) for task in range(1, len(results) + 1)], dropped)
    open_ids = {task.id for task in pool.open}
    scored, _ = scores_of([each for task, each in foreign.by_task.items() if task in open_ids], layout)
    chosen = ProjectSettings(strategy="predictions").override(settings, where="Test")
    overrides = QueueOverrides(tuple(front), tuple(dropped))
    return PredictedProject(now, store, chosen, layout, pool, foreign, scored, overrides)


def queue_of(project: PredictedProject, *, whole_pool: bool = False, report: Report | None = None) -> Queue:
    """The order of such a project."""
    return make_predicted_queue(project, (), run_of(RunOptions(whole_pool=whole_pool), report))


def run_of(options: RunOptions = ORDINARY_RUN, report: Report | None = None, **workspace: Any) -> Run:
    """A round of such a project that asks nothing of Label Studio."""
    nobody: Any = None
    works_with = Workspace(nobody, Path(), **workspace)
    return Run(works_with, RoundRequest(7), options, Recorder(report or Report(7)))
