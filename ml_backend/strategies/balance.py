"""Class-balanced picks, for pools where a class is rare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.picks import Positions

LOOK_AHEAD = 5
"""A balanced queue of B is made from a strategy's first 5 B picks: far enough to meet a class of 1 in 10."""


def balanced(order: Positions, guesses: NDArray[np.int64], counts: NDArray[np.int64], length: int) -> Positions:
    """The first ``length`` of a longer order, classes taking turns.

    Each place goes to the class with the fewest labels and places so far, of those that still have candidates (of
    equal ones to that whose candidate the strategy put first), and there to the strategy's first candidate.

    Args:
        order: positions among the items, as the strategy ordered them ``[>= length]``.
        guesses: the model's most probable class of each item ``[N]``.
        counts: labels of each class so far ``[C]``.
        length: how many to take.
    """
    totals = counts.astype(np.int64).copy()
    places = {c: np.flatnonzero(guesses[order] == c) for c in np.unique(guesses[order]).tolist()}
    heads = dict.fromkeys(places, 0)
    out: list[int] = []
    while len(out) < min(length, len(order)):
        ready = [c for c in places if heads[c] < len(places[c])]
        chosen = min(ready, key=lambda c: (totals[c], places[c][heads[c]]))
        out.append(int(order[places[chosen][heads[chosen]]]))
        heads[chosen] += 1
        totals[chosen] += 1
    return np.array(out, dtype=np.int64)
