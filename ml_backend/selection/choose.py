"""What strategies that look at the whole pool ask next, alone or mixed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ml_backend.draws import draws_for
from ml_backend.selection.ordering import TIE_STREAM, Floats
from ml_backend.selection.selection import Selection
from ml_backend.strategies import mixture
from ml_backend.strategies.balance import LOOK_AHEAD, balanced
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Picks, Positions
from ml_backend.strategies.registry import STRATEGIES, pick


def choose(
    strategy: str, inputs: StrategyInputs, count: int, *, labels_so_far: Mapping[int, int] | None = None
) -> Selection:
    """Choose the next ``count`` items, all where there are fewer.

    The items are put into an order drawn from seed and task ids before any strategy sees them, and strategies give
    ties to the earlier row: the same items give the same choice, however they are ordered. Strategies answer with rows
    of that order; here these become task ids again, and nowhere else.

    In a mixture each part picks its share from what the parts before it left, and the picks are interleaved evenly.

    Args:
        strategy: a name in ``STRATEGIES``, or a mixture.
        inputs: of the N items, all that `mixture.needs` names.
        count: B.
        labels_so_far: labels by class; given, each part's picks are balanced over the model's guesses (but not those
            of ``random``).
    """
    drawn = np.argsort(draws_for(inputs.task_ids, inputs.seed + TIE_STREAM), kind="stable")
    inputs = inputs.take(drawn)
    parts = mixture.parse_strategy(strategy)
    counts = mixture.part_counts([part.share for part in parts], min(count, len(inputs)))
    left = np.ones(len(inputs), dtype=np.bool_)
    queues: list[Positions] = []
    values: Floats = np.zeros(0)
    reasons: dict[int, str] = {}
    for part, size in zip(parts, counts, strict=True):
        rows = np.flatnonzero(left)
        chosen = _part(part.name, inputs.take(rows) if len(parts) > 1 else inputs, size, labels_so_far)
        queues.append(rows[chosen.order])
        left[rows[chosen.order]] = False
        values = chosen.utility
        reasons |= {int(inputs.task_ids[rows[row]]): reason for row, reason in chosen.reasons.items()}
    turns = mixture.interleave(counts)
    order = np.empty(len(turns), dtype=np.int64)
    for number, queue in enumerate(queues):
        order[turns == number] = queue
    if len(parts) > 1:
        values = 1.0 - np.arange(len(order)) / max(len(order), 1)
    return Selection(inputs.task_ids[order], tuple(parts[turn].name for turn in turns), values, reasons)


def _part(name: str, inputs: StrategyInputs, count: int, labels_so_far: Mapping[int, int] | None) -> Picks:
    """One strategy's picks."""
    strategy = STRATEGIES[name]
    if labels_so_far is None or inputs.probabilities is None or not strategy.needs:
        return pick(strategy, inputs, count)
    picks = pick(strategy, inputs, LOOK_AHEAD * count)
    guesses = inputs.probabilities.mean(axis=1).argmax(axis=1)
    totals = np.array([labels_so_far.get(c, 0) for c in range(inputs.classes)], dtype=np.int64)
    order = balanced(picks.order, guesses, totals, count)
    value = dict(zip(picks.order.tolist(), picks.utility.tolist(), strict=True))
    return Picks.of(order, np.array([value[i] for i in order.tolist()]), picks.reasons)
