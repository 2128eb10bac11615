"""What to label next, by the code that makes the loop's queue and moves it between two rounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.instant.queue import InstantQueue
from ml_backend.models.base import Model
from ml_backend.records import Prediction
from ml_backend.selection.build_inputs import neighbourhood
from ml_backend.selection.context import QueryContext, wants
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.select import arrange, assess, select
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.simulation.oracle import Oracle
from ml_backend.strategies.answers import Target
from ml_backend.strategies.auto_phases import is_cold
from ml_backend.strategies.picks import Positions


def choose(
    model: Model | None,
    oracle: Oracle,
    count: int,
    settings: ProjectSettings,
    unlabelled: Unlabelled | None = None,
    candidates: Positions | None = None,
) -> Positions:
    """The next positions to label, by the code that makes the loop's queue; without a model, its cold start."""
    context = _context(model, oracle, settings, unlabelled, candidates)
    return select(context, count=count, turn=len(context)).task_ids


def answered_one_by_one(
    model: Model | None,
    oracle: Oracle,
    count: int,
    settings: ProjectSettings,
    unlabelled: Unlabelled | None = None,
    candidates: Positions | None = None,
) -> Positions:
    """The same where each answer moves what comes next in the queue, by the code of the instant loop."""
    context = _context(model, oracle, settings, unlabelled, candidates)
    scores = assess(context)
    chosen = arrange(context, scores, count=settings.queue_size, turn=len(context))
    known = context.labelled
    if unlabelled is None or known is None or is_cold(len(known.targets), oracle.classes, context.classes):
        return chosen.task_ids[:count]
    places = zip(chosen.task_ids.tolist(), queue_scores(chosen.utility).tolist(), chosen.picked_by, strict=True)
    rows = [Prediction(task, None, 0.0, score, picked_by) for task, score, picked_by in places]
    queue = InstantQueue(neighbourhood(context, known, unlabelled, scores), context.task_ids, rows)
    return one_by_one(queue, count, lambda task: oracle.data.targets[task])


def one_by_one(queue: InstantQueue, count: int, answer: Callable[[int], Target]) -> Positions:
    """The tasks that one person is asked, each with the answers to all before it known; ``answer`` gives those."""
    asked: list[int] = []
    while len(asked) < count and (task := queue.give(None)) is not None:
        asked.append(task)
        queue.take_in(task, answer(task), None)
        if swap := queue.swap():
            queue.apply(swap)
    return np.array(asked, dtype=np.int64)


def _context(
    model: Model | None,
    oracle: Oracle,
    settings: ProjectSettings,
    unlabelled: Unlabelled | None,
    candidates: Positions | None,
) -> QueryContext:
    """What is known of the candidates: all open items, where none are named."""
    candidates = oracle.open if candidates is None else candidates
    wanted = wants(settings, trained=model is not None)
    return QueryContext(
        model,
        oracle.items(candidates),
        candidates,
        settings,
        classes=len(oracle.data.labels),
        labelled=oracle.known(oracle.labelled) if "labelled" in wanted else None,
        validation=oracle.known(oracle.steering) if "validation" in wanted else None,
        unlabelled=unlabelled,
        multiple=oracle.data.multiple,
    )
