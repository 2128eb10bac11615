"""BADGE: batches that are uncertain and diverse at once (Ash, Zhang, Krishnamurthy, Langford & Agarwal 2020).

Axes: ``N`` items, ``K`` passes, ``C`` classes, ``D`` embedding dimensions, ``B`` picks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.base import Strategy, embeddings_of, needs, probabilities_of
from ml_backend.strategies.picks import Floats, Picks


def factors(
    probabilities: NDArray[np.floating], embeddings: NDArray[np.floating], *, several: bool = False
) -> tuple[Floats, Floats]:
    """``a = p - onehot(argmax p) [N, C]`` and ``h [N, D]``: an item's gradient embedding is their outer product.

    Of sets ``a = p - round(p)``: the same gradient of a sigmoid a class, at the set that is likeliest.
    """
    a = probabilities.mean(axis=1, dtype=np.float64)
    if several:
        return a - (a >= 0.5), np.asarray(embeddings, dtype=np.float64)
    a[np.arange(len(a)), a.argmax(axis=1)] -= 1.0
    return a, np.asarray(embeddings, dtype=np.float64)


def squared_distances(a: Floats, h: Floats, lengths: Floats, row: int) -> Floats:
    """Squared distances of all gradient embeddings to one, given their squared ``lengths``; 0 for copies ``[N]``."""
    both = lengths + lengths[row]
    gaps = both - 2.0 * (a @ a[row]) * (h @ h[row])
    return np.where(gaps > 1e-12 * both, gaps, 0.0)


def badge(
    probabilities: NDArray[np.floating],
    embeddings: NDArray[np.floating],
    count: int,
    rng: np.random.Generator,
    *,
    several: bool = False,
) -> Picks:
    """k-means++ over gradient embeddings ``g = (p - onehot(argmax p)) (x) h`` (Ash et al. 2020).

    The gradient of the loss in the last layer if the guess were right: long where the model is unsure, and pointing
    elsewhere for other kinds of items. The first pick is the longest, each next one is drawn in proportion to its
    squared distance to the picks. Distances come from the factors, ``<g, g'> = <a, a'> <h, h'>``, without the
    ``[N, C D]`` matrix: O(B N (C + D)).

    Args:
        probabilities: ``[N, K, C]``, averaged over the passes.
        embeddings: ``h [N, D]``, what the last layer sees.
        count: B.
        rng: draws the picks.
        several: answers are sets.
    """
    a, h = factors(probabilities, embeddings, several=several)
    taken = min(count, len(a))
    lengths = np.einsum("nc,nc->n", a, a) * np.einsum("nd,nd->n", h, h)
    nearest = np.full(len(a), np.inf)
    left = np.ones(len(a), dtype=np.bool_)
    order: list[int] = []
    values: Floats = np.empty(taken)
    for i in range(taken):
        weights = lengths if i == 0 else nearest * left
        edges = np.cumsum(weights)
        if i == 0:
            best = int(np.argmax(weights))
        elif edges[-1] > 0:
            best = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
            best = min(best, int(np.flatnonzero(weights)[-1]))
        else:  # only copies are left, or the model is certain of everything
            best = int(np.argmax(left))
        order.append(best)
        values[i] = np.sqrt(weights[best])
        left[best] = False
        nearest = np.minimum(nearest, squared_distances(a, h, lengths, best))
    return Picks.relative(order, values)


BADGE: Final = Strategy(
    "uncertain and diverse at once, without dropout: for batches of any length",
    "k-means++ over `g = (p - onehot(argmax p)) ⊗ h`",
    "Ash et al. 2020",
    "O(B N (C + D))",
    needs("probabilities", "embeddings"),
    pick=lambda e, count: badge(probabilities_of(e), embeddings_of(e), count, e.rng(1), several=e.several),
    copies=embeddings_of,
    takes_several=True,
)
