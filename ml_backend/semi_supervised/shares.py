"""What is believed of the classes' shares in the pool, and when that is given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import LabeledItems, Model
from ml_backend.semi_supervised.graph import Positions, Vectors, nearest
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding

FARTHEST: Final = 2 / 3
"""Of the way from equal shares of the classes to all items in one class: beyond, equal shares are taken to be wrong.
Of two classes one then has less than a sixth."""
FURTHER: Final = 5.0
"""Labels that are taken to say no more of a class than the others do."""
MOST: Final = 10_000
"""Items whose nearest labels are looked for: a share is known well enough by them."""
CONTRADICTED: Final = 0.01
"""Equal shares of the classes are given up where random labels would be so unlikely under them."""


def class_prior(classes: int, random_targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected share of each class ``[C]``: equal, unless labels of randomly drawn items contradict it.

    Then their shares, each class counted once more (Laplace). The test is Pearson's chi-square.
    """
    from scipy.special import chdtrc  # scipy.stats, which has the whole test, takes a second to import

    counts = np.bincount(random_targets, minlength=classes).astype(np.float64)
    expected = max(float(counts.mean()), 1e-12)
    if counts.sum() < 2 * classes or chdtrc(classes - 1, np.square(counts - expected).sum() / expected) > CONTRADICTED:
        return np.full(classes, 1.0 / classes)
    return np.asarray((counts + 1.0) / (counts.sum() + classes))


def set_rates(
    sets: NDArray[np.int64],
    drawn: NDArray[np.bool_] | None = None,
    counts: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Expected share of the items that have each class ``[C]``: ``(n s + FURTHER m) / (n + FURTHER)``.

    ``s`` is its share of ``n`` labels, and ``m`` the mean of all classes' shares: as if `FURTHER` labels had each class
    as often as the classes are on average. (Laplace's one with and one without would double a share of 3 in 100.)

    Whoever chooses labels finds rare classes more often than they are there. So each label counts as many items as it
    is the nearest one of (importance weights by nearest neighbours, Loog 2012, https://doi.org/10.1109/MLSP.2012.6349714),
    and all together as many labels as weights so uneven are worth, ``(Σ w)² / Σ w²`` (Kish 1965). Labels that chance
    drew need no weights: they alone are taken where they are worth more.

    Args:
        sets: of the labelled items ``[L, C]``.
        drawn: which of them chance chose ``[L]``; None: of none it is known.
        counts: items that each is the nearest label of ``[L]``, see `nearest_counts`; None: all alike.
    """
    if not len(sets):
        return np.full(sets.shape[1], 0.5)
    weights = np.ones(len(sets)) if counts is None else counts.astype(np.float64)
    worth = weights.sum() ** 2 / np.square(weights).sum()
    if drawn is not None and drawn.sum() >= worth:
        weights, worth = drawn.astype(np.float64), float(drawn.sum())
    shares = weights @ sets / weights.sum()
    return np.asarray((worth * shares + FURTHER * shares.mean()) / (worth + FURTHER))


def nearest_counts(rows: Vectors, labelled: Positions, nodes: Positions | None = None) -> NDArray[np.int64]:
    """How many items each labelled one is the nearest labelled one of, itself among them ``[L]``.

    Args:
        rows: vectors ``[M, D]``.
        labelled: rows of the labelled ones ``[L]``, not empty.
        nodes: rows of all items ``[N]``; of more than `MOST` an even part is looked at. None: all rows.
    """
    nodes = np.arange(len(rows)) if nodes is None else nodes
    some = nodes[np.arange(min(len(nodes), MOST)) * len(nodes) // min(len(nodes), MOST)]
    near, _ = nearest([rows[some]], rows[labelled], 1)
    return np.bincount(near[:, 0], minlength=len(labelled))


def rates_in_pool(
    embedding: PoolEmbedding, items: Sequence[Any], known: LabeledItems, drawn: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """`set_rates` of labels among the items of an embedding that knows them all ``[C]``."""
    if not len(known.items):
        return set_rates(known.targets)
    nodes = np.unique(embedding.places([*items, *known.items]))
    return set_rates(known.targets, drawn, nearest_counts(embedding.rows, embedding.places(known.items), nodes))


def plausible(prior: NDArray[np.float64], model: Model, items: Sequence[Any]) -> bool:
    """Whether a model of the labels alone finds shares of the classes not too far from those expected.

    Shares that nobody stated and no drawn labels showed are taken as equal. Where a class is very rare they make the
    pool a bad teacher, and a model of the labels alone then finds it hardly at all, however evenly the strategy found
    the classes. The distance is that of all classes together (total variation, in parts of the largest there is): of
    many classes such a model always misses some, and the pool is the better teacher even where they differ fivefold.
    """
    found = np.bincount(model.probabilities(items)[:, 0].argmax(axis=1), minlength=len(prior)) / len(items)
    return bool(np.abs(found - prior).sum() / 2 <= FARTHEST * (1 - prior.min()))
