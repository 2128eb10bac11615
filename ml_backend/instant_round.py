"""What a round leaves for the instant loop, or why it leaves nothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from ml_backend.auto import is_cold
from ml_backend.errors import StoreError
from ml_backend.graph import Floats, Neighbourhood
from ml_backend.instant_file import InstantGraph, remove, write
from ml_backend.instant_queue import MOVABLE
from ml_backend.label_studio import TIME_FORMAT
from ml_backend.pool import Examples
from ml_backend.pool_learning import FEWEST_OPEN
from ml_backend.records import Queue
from ml_backend.report import Report
from ml_backend.scoring import Scores
from ml_backend.workspace import RoundProject, read_known

MOST_OPEN: Final = 100_000
"""Open tasks above which one answer takes the graph too long."""
ON: Final = "on"


def leave(project: RoundProject, queue: Queue, examples: Examples, scores: Scores | None, report: Report) -> None:
    """Write the graph that goes with a queue, or remove what is there; the report says which and why."""
    found = _graph(project, queue, examples, scores, report)
    try:
        if isinstance(found, str):
            remove(project.store.folder)
        else:
            write(project.store.folder, found)
        report.instant = found if isinstance(found, str) else ON
    except StoreError as exc:  # the order can do without
        report.instant = f"off: {exc}"


def _graph(
    project: RoundProject, queue: Queue, examples: Examples, scores: Scores | None, report: Report
) -> InstantGraph | str:
    labels = project.question.labels
    if not project.settings.instant:
        return "off: switched off"
    if not any(item.picked_by == MOVABLE for item in queue.predictions):
        return f"off: only what {MOVABLE} chose is moved"
    if project.unlabelled is None:
        return "off: nothing has embedded the tasks without labels"
    if not FEWEST_OPEN <= len(examples.items) <= MOST_OPEN:
        return f"off: it needs {FEWEST_OPEN:,} to {MOST_OPEN:,} open tasks"
    known = read_known(project.pool.training, project, report)
    if is_cold(len(known.targets), len(np.unique(known.targets)), len(labels)):
        return "off: until there are enough labels to look between the classes"
    embedding = project.unlabelled.embedding
    graph = Neighbourhood(
        embedding.weights,
        np.zeros((len(embedding), 0), np.float32),  # coordinates: of a cold start alone
        embedding.places(examples.items),
        embedding.places(known.items),
        known.targets,
        project.unlabelled.prior,
        _mean(scores),
    )
    newest = max(a.updated_at for task, _ in project.pool.training for a in task.annotations)
    return InstantGraph(queue.name, project.question, newest.strftime(TIME_FORMAT), examples.task_ids, graph)


def _mean(scores: Scores | None) -> Floats | None:
    """The model's probabilities ``[O, C]``; None where it gave none, or not of all tasks."""
    if scores is None or scores.probabilities is None or len(scores.probabilities) < len(scores.winner):
        return None
    return np.asarray(scores.probabilities.mean(axis=1), dtype=np.float32)
