"""Which items next, in which order, and what put each one there. The loop and the simulation both ask here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids, draws_for
from ml_backend.models.several import class_counts
from ml_backend.records import CONTROL, PINNED, Progress, no_progress
from ml_backend.selection.build_inputs import build_inputs
from ml_backend.selection.choose import choose
from ml_backend.selection.context import COLD_START, QueryContext, strategy_in_use
from ml_backend.selection.control_arm import control_order, control_places
from ml_backend.selection.ordering import STAND_IN, Floats, rank
from ml_backend.selection.scoring import Scores, score_items
from ml_backend.selection.selection import Selection
from ml_backend.strategies.mixture import needs

Among = NDArray[np.bool_]
"""Which of a context's items ``[N]``."""


def select(context: QueryContext, *, count: int, turn: int = 0, progress: Progress = no_progress) -> Selection:
    """Choose what to ask next: `assess`, then `arrange`.

    Raises:
        AcquisitionError: the strategy needs what cannot be had (nothing was computed then), or the model's
            probabilities are malformed.
    """
    return arrange(context, assess(context, progress=progress), count=count, turn=turn)


def assess(context: QueryContext, *, progress: Progress = no_progress) -> Scores | None:
    """What the model says about the items; None without one. ``progress`` is called while items are scored.

    Raises:
        AcquisitionError: as in `select`.
    """
    context.check()
    if context.model is None:
        return None
    return score_items(
        context.model,
        context.items,
        context.task_ids,
        context.settings,
        keep=not context.ranks_itemwise,
        progress=progress,
    )


@hardware.threads()
def arrange(
    context: QueryContext, scores: Scores | None, *, count: int, turn: int = 0, front: Sequence[int] = ()
) -> Selection:
    """Which items, in which order.

    Args:
        context: the items, and what is known of them.
        scores: what `assess` said of them.
        count: how many to choose; all where there are fewer.
        turn: a number that changes with the labels, such as that of the open items: it moves the control tasks' places.
        front: ids of the tasks that people want first, in this order; those that are not among the items are left out.
            What follows them is chosen from the other items, with its full share of control tasks.
    """
    settings, task_ids = context.settings, context.task_ids
    first = _first(front, task_ids, count)
    length = min(count, len(context)) - len(first)
    places = control_places(length, settings.control_share, settings.seed, turn)
    free = ~np.isin(task_ids, first.task_ids)
    control = control_order(task_ids[free], settings.seed, len(places))
    others = free & ~np.isin(task_ids, control)
    direct = context.ranks_itemwise and (scores is not None or context.strategy == COLD_START)
    picks = (_ranked if direct else _compared)(context, scores, others, length - len(control))
    queue = first.then(_interleave(picks, control, places))
    return queue if scores is None else with_guesses(queue, task_ids, scores)


def first_candidates(task_ids: Ids, settings: ProjectSettings, *, trained: bool, count: int) -> frozenset[int]:
    """Ids of tasks that ``arrange`` can choose ``count`` from, so that a random order need not read the whole pool.

    Twice as many as asked for, because some may turn out to be unreadable.
    """
    if needs(strategy_in_use(settings, trained=trained)):
        return frozenset(task_ids.tolist())
    seed = settings.seed
    chosen = task_ids[rank(draws_for(task_ids, seed), task_ids, seed=seed, count=2 * count)]
    control = control_order(task_ids, seed, int(2 * count * settings.control_share) + 2)
    return frozenset([*chosen.tolist(), *control.tolist()])


def _first(front: Sequence[int], task_ids: Ids, count: int) -> Selection:
    """The tasks that people want first, at most ``count``."""
    there = set(task_ids.tolist())
    found = np.array([task for task in front if task in there][:count], dtype=np.int64)
    return Selection(found, (PINNED,) * len(found), np.ones(len(found)))


def _ranked(context: QueryContext, scores: Scores | None, others: Among, wanted: int) -> Selection:
    """The others with the largest scores of their own."""
    values = draws_for(context.task_ids, context.settings.seed) if scores is None else scores.uncertainty
    return _largest(context, values, others, wanted, context.strategy)


def _compared(context: QueryContext, scores: Scores | None, others: Among, wanted: int) -> Selection:
    """The others that the strategy chooses together, and behind them the most uncertain ones."""
    # Of a pool too large for memory, only what is in the shortlist can be compared as a whole.
    kept = np.arange(len(context)) if scores is None or scores.kept is None else scores.kept
    inputs = build_inputs(context.take(kept), scores).take(np.flatnonzero(others[kept]))
    so_far = None
    if context.settings.balance and context.labelled is not None:
        counts = class_counts(context.labelled.targets, context.classes)
        so_far = dict(enumerate(counts.tolist()))
    picks = choose(context.strategy, inputs, wanted, labels_so_far=so_far)
    left = wanted - len(picks)
    if scores is None or left <= 0:
        return picks
    behind = others.copy()
    behind[kept] = False
    more = _largest(context, scores.uncertainty, behind, left, STAND_IN)
    return picks.then(replace(more, utility=np.zeros(len(more))))


def _largest(context: QueryContext, values: Floats, among: Among, count: int, picked_by: str) -> Selection:
    """The items with the largest values."""
    ids, values = context.task_ids[among], values[among]
    best = rank(values, ids, seed=context.settings.seed, count=count)
    return Selection(ids[best], (picked_by,) * len(best), values[best])


def _interleave(picks: Selection, control: Ids, places: Ids) -> Selection:
    """Picks with control tasks at their places among them."""
    length = len(picks) + len(control)
    is_control = np.zeros(length, dtype=np.bool_)
    is_control[places] = True
    task_ids = np.empty(length, dtype=np.int64)
    task_ids[is_control], task_ids[~is_control] = control, picks.task_ids
    before = np.maximum(np.cumsum(~is_control) - 1, 0)
    own = iter(picks.picked_by)
    return Selection(
        task_ids,
        tuple(CONTROL if flag else next(own) for flag in is_control),
        picks.utility[before] if len(picks) else np.ones(length),
        picks.reasons,
    )


def with_guesses(queue: Selection, task_ids: Ids, scores: Scores) -> Selection:
    """A queue with what the model says about its tasks; where a strategy goes by that and tells no more, as reasons."""
    row_of = {task: row for row, task in enumerate(task_ids.tolist())}
    asked = queue.task_ids.tolist()
    rows = np.array([row_of[task] for task in asked], dtype=np.int64)
    reasons = dict(queue.reasons)
    for task, row, picked_by in zip(asked, rows.tolist(), queue.picked_by, strict=True):
        if picked_by not in (CONTROL, PINNED) and task not in reasons and "probabilities" in needs(picked_by):
            reasons[task] = scores.wavers(row)
    sets = None if scores.sets is None else scores.sets[rows]
    return replace(queue, reasons=reasons, winner=scores.winner[rows], confidence=scores.confidence[rows], sets=sets)
