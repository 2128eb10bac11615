"""Labels that are sets, spread over the graph: each class is a question of yes and no.

Axes: ``N`` items, ``D`` embedding dimensions, ``C`` classes, ``L`` labels.

A class's description stands for one label of it, and one without it, that nobody gave: with sets, labels are few for
each class, and those of a class that has none yet are found by nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.semi_supervised.class_names import EMPTY, likeness
from ml_backend.semi_supervised.graph import Floats, Positions, Vectors, propagate, spread

if TYPE_CHECKING:
    from scipy import sparse

    from ml_backend.encoders.base import Rows

SURE: Final = 30.0
"""Log-odds at which nothing is left to doubt."""
HALVINGS: Final = 40
MOST: Final = 10_000
"""Items whose mean is brought to a rate: it is known well enough by them, and of more an answer would wait."""


def set_sources(sets: Positions) -> Floats:
    """What sets send ``[L, C]``: each 1 in its classes' columns, and in one more for all of them ``[L, C + 1]``."""
    return np.hstack([sets, np.ones((len(sets), 1))]).astype(np.float32)


def set_mass(weights: sparse.csr_matrix, labelled: Positions, sets: Positions) -> Floats:
    """`propagate` of labels that are sets ``[L, C]``: of all with each class together, and of all ``[N, C + 1]``."""
    return spread(weights, labelled, set_sources(sets))


def set_probabilities(
    mass: Floats,
    labelled: Positions,
    sets: Positions,
    rates: NDArray[np.floating],
    power: float = 1.0,
    names: Floats | None = None,
) -> Floats:
    """Probability of each class of every item from the sets of a few ``[N, C]``: `label_probabilities` class by class.

    Each class is a question of yes and no: ``F_c = yes_c / n_c``, ``G_c = no_c / (L - n_c)``, ``n_c`` the labels with
    the class, ``p_c = F_c / (F_c + G_c)``, balanced to its rate. With names both have one label more, which soon weighs
    little. Classes that are not `expected` get nothing.

    Args:
        mass: `set_mass` ``[N, C + 1]``.
        labelled: positions of the labelled items ``[L]``.
        sets: theirs ``[L, C]``.
        rates: expected share of the items that have each class ``[C]``.
        power: of the odds before they are balanced, see `label_probabilities`.
        names: `set_name_mass` ``[2, N, C]``; None where the classes' names are not used.
    """
    counts = sets.sum(axis=0).astype(np.float32)
    yes, no, more = mass[:, :-1], np.maximum(mass[:, -1:] - mass[:, :-1], 0.0), 0
    if names is not None:
        yes, no, more = yes + names[0], no + names[1], 1
    yes, no = yes / np.maximum(counts + more, 1.0), no / np.maximum(len(sets) - counts + more, 1.0)
    total, wanted = yes + no, expected(rates, sets, named=names is not None)
    rows = np.where(total > 1e-12, yes / np.maximum(total, 1e-12), wanted)
    rows = balanced_by_class(rows, wanted, power)
    rows[labelled] = sets
    return np.asarray(rows, dtype=np.float32)


def expected(rates: NDArray[np.floating], sets: Positions, *, named: bool = False) -> Floats:
    """Rates of the classes that some label has ``[C]``; the others get nothing.

    Where the names are used they do too, until `EMPTY` labels for each class have been given, none of them to it.
    """
    found = (sets.sum(axis=0) > 0) | (named and len(sets) < EMPTY * sets.shape[1])
    return np.asarray(np.where(found, rates, 0.0), dtype=np.float32)


def set_name_mass(weights: sparse.csr_matrix, rows: Vectors, names: Rows, rates: NDArray[np.floating]) -> Floats:
    """`propagate` of one label of each class, and of one without it, shared by all items ``[2, N, C]``.

    By how much they are like its description: ``p = sigmoid(20 cos(x - m, c - m) + s)``, ``m`` the mean item, ``s``
    such that the mean is the class's rate. The columns of ``p`` and ``1 - p`` are made to sum to 1.

    Args:
        weights: `graph.affinity` ``[N, N]``.
        rows: the items' vectors ``[N, D]``.
        names: those of the classes' descriptions ``[C, D]``, by the same encoder.
        rates: expected share of the items that have each class ``[C]``.
    """
    odds = likeness(rows, names).astype(np.float64)
    alike = balanced_by_class(np.asarray(_sigmoid(odds), dtype=np.float32), np.asarray(rates, dtype=np.float32))
    both = (part / np.maximum(part.sum(axis=0), 1e-12) for part in (alike, 1 - alike))
    return np.stack([propagate(weights, part) for part in both])


def balanced_by_class(rows: Floats, rates: Floats, power: float = 1.0) -> Floats:
    """`balanced`, of each class and its absence by themselves, to the end ``[N, C]``.

    Scaling both in turns shifts the log-odds of a class by one number, which is found by halving: ``p = sigmoid(power
    logit(row) + s)``, ``s`` such that the mean is the rate, of more than `MOST` items that of an even part. A class of
    rate 0 or 1 is in no set, or in all.
    """
    clipped = np.clip(rows.astype(np.float64), 1e-9, 1 - 1e-9)
    odds = power * (np.log(clipped) - np.log1p(-clipped))
    some = odds[np.arange(min(len(odds), MOST)) * len(odds) // min(len(odds), MOST)]
    low, high = -odds.max(axis=0) - SURE, -odds.min(axis=0) + SURE
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = _sigmoid(some + middle).mean(axis=0) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    found = _sigmoid(odds + (low + high) / 2)
    return np.asarray(np.where(rates <= 0, 0.0, np.where(rates >= 1, 1.0, found)), dtype=np.float32)


def _sigmoid(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)))  # overflows nowhere
