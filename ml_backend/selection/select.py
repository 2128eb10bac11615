"""Which items next, in which order, and what put each one there. The loop and the simulation both ask here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids, draws_for
from ml_backend.records import CONTROL, PINNED, Progress, no_progress
from ml_backend.selection.build_inputs import build_inputs
from ml_backend.selection.choose import choose
from ml_backend.selection.context import COLD_START, QueryContext, strategy_in_use
from ml_backend.selection.control_arm import control_order, control_places
from ml_backend.selection.ordering import STAND_IN, rank
from ml_backend.selection.scoring import Scores, score_items
from ml_backend.selection.selection import Selection
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.picks import Positions


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


def arrange(
    context: QueryContext, scores: Scores | None, *, count: int, turn: int = 0, front: Positions | None = None
) -> Selection:
    """Which items, in which order.

    Args:
        context: the items, and what is known of them.
        scores: what `assess` said of them.
        count: how many to choose; all where there are fewer.
        turn: a number that changes with the labels, such as that of the open items: it moves the control tasks' places.
        front: positions of the items that people want first, in this order. What follows them is chosen from the other
            items, with its full share of control tasks.
    """
    settings, task_ids = context.settings, context.task_ids
    first = (np.zeros(0, np.int64) if front is None else front)[:count]
    length = min(count, len(context)) - len(first)
    places = control_places(length, settings.control_share, settings.seed, turn)
    free = np.setdiff1d(np.arange(len(context)), first)
    control = free[control_order(task_ids[free], settings.seed, len(places))]
    others = np.setdiff1d(free, control)
    direct = context.ranks_itemwise and (scores is not None or context.strategy == COLD_START)
    picks = (_ranked if direct else _compared)(context, scores, others, length - len(control))
    return _led_by(first, _interleave(picks, control, places, scores))


def first_candidates(task_ids: Ids, settings: ProjectSettings, *, trained: bool, count: int) -> Positions:
    """Positions that ``select`` can choose ``count`` from, so that a random order need not read the whole pool.

    Twice as many as asked for, because some may turn out to be unreadable.
    """
    if needs(strategy_in_use(settings, trained=trained)):
        return np.arange(len(task_ids))
    chosen = rank(draws_for(task_ids, settings.seed), task_ids, seed=settings.seed, count=2 * count)
    control = control_order(task_ids, settings.seed, int(2 * count * settings.control_share) + 2)
    return np.union1d(chosen, control)


def _ranked(context: QueryContext, scores: Scores | None, others: Positions, wanted: int) -> Selection:
    """The others with the largest scores of their own."""
    ids, seed = context.task_ids, context.settings.seed
    values = draws_for(ids, seed) if scores is None else scores.uncertainty
    chosen = others[rank(values[others], ids[others], seed=seed, count=wanted)]
    return Selection(chosen, (context.strategy,) * len(chosen), values[chosen])


def _compared(context: QueryContext, scores: Scores | None, others: Positions, wanted: int) -> Selection:
    """The others that the strategy chooses together, and behind them the most uncertain ones."""
    # Of a pool too large for memory, only what is in the shortlist can be compared as a whole.
    among = np.arange(len(context)) if scores is None or scores.kept is None else scores.kept
    listed = np.intersect1d(others, among)
    inputs = build_inputs(context.take(among), scores).take(np.searchsorted(among, listed))
    so_far = None
    if context.settings.balance and context.labelled is not None:
        counts = np.bincount(context.labelled.targets, minlength=context.classes)
        so_far = dict(enumerate(counts.tolist()))
    picks = choose(context.strategy, inputs, wanted, labels_so_far=so_far)
    reasons = {int(listed[position]): reason for position, reason in picks.reasons.items()}
    picks = replace(picks, order=listed[picks.order], reasons=reasons)
    left = wanted - len(picks.order)
    if scores is None or left <= 0:
        return picks
    ids, rest = context.task_ids, np.setdiff1d(others, listed)
    more = rest[rank(scores.uncertainty[rest], ids[rest], seed=context.settings.seed, count=left)]
    return Selection(
        np.concatenate([picks.order, more]),
        (*picks.picked_by, *[STAND_IN] * len(more)),
        np.concatenate([picks.utility, np.zeros(len(more))]),
        reasons,
    )


def _interleave(picks: Selection, control: Positions, places: Positions, scores: Scores | None) -> Selection:
    chosen, utility = picks.order, picks.utility
    length = len(chosen) + len(control)
    is_control = np.zeros(length, dtype=np.bool_)
    is_control[places] = True
    order = np.empty(length, dtype=np.int64)
    order[is_control], order[~is_control] = control, chosen
    if len(chosen):
        before = np.maximum(np.cumsum(~is_control) - 1, 0)
        utility = utility[before]
    else:
        utility = np.ones(length)
    own = iter(picks.picked_by)
    picked_by = tuple(CONTROL if flag else next(own) for flag in is_control)
    return Selection(order, picked_by, utility, picks.reasons, scores)


def _led_by(first: Positions, rest: Selection) -> Selection:
    """A selection after the items that people want first."""
    return replace(
        rest,
        order=np.concatenate([first, rest.order]),
        picked_by=(PINNED,) * len(first) + rest.picked_by,
        utility=np.concatenate([np.ones(len(first)), rest.utility]),
    )
