"""What is believed of the classes' shares in the pool, and when that is given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import Model

FARTHEST: Final = 2 / 3
"""Of the way from equal shares of the classes to all items in one class: beyond, equal shares are taken to be wrong.
Of two classes one then has less than a sixth."""
FEWEST_DRAWN: Final = 20
"""Randomly drawn labels below which nothing can be told from them."""
CONTRADICTED: Final = 0.01
"""Equal shares of the classes are given up where random labels would be so unlikely under them."""


def class_prior(classes: int, random_targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected share of each class ``[C]``: equal, unless labels of randomly drawn items contradict it.

    Then their shares, each class counted once more (Laplace). The test is Pearson's chi-square.
    """
    from scipy.stats import chisquare

    counts = np.bincount(random_targets, minlength=classes).astype(np.float64)
    if counts.sum() < 2 * classes or chisquare(counts).pvalue > CONTRADICTED:
        return np.full(classes, 1.0 / classes)
    return np.asarray((counts + 1.0) / (counts.sum() + classes))


def set_rates(sets: NDArray[np.int64], drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Expected share of the items that have each class ``[C]``, ``(with + 1) / (labels + 2)`` (Laplace).

    By the labels that chance drew; of fewer than `FEWEST_DRAWN` of those by all: a class has no share that could be
    taken for granted, as equal shares are where there is one class an item.

    Args:
        sets: of the labelled items ``[L, C]``.
        drawn: which of them chance chose ``[L]``.
    """
    told = sets[drawn] if drawn.sum() >= FEWEST_DRAWN else sets
    return np.asarray((told.sum(axis=0) + 1.0) / (len(told) + 2.0))


def plausible(prior: NDArray[np.float64], model: Model, items: Sequence[Any]) -> bool:
    """Whether a model of the labels alone finds shares of the classes not too far from those expected.

    Shares that nobody stated and no drawn labels showed are taken as equal. Where a class is very rare they make the
    pool a bad teacher, and a model of the labels alone then finds it hardly at all, however evenly the strategy found
    the classes. The distance is that of all classes together (total variation, in parts of the largest there is): of
    many classes such a model always misses some, and the pool is the better teacher even where they differ fivefold.
    """
    found = np.bincount(model.probabilities(items)[:, 0].argmax(axis=1), minlength=len(prior)) / len(items)
    return bool(np.abs(found - prior).sum() / 2 <= FARTHEST * (1 - prior.min()))
