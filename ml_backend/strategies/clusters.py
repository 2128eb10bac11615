"""k-means, and the strategies that ask cluster by cluster.

Axes: ``N`` open items, ``L`` labelled items, ``D`` embedding dimensions, ``B`` picks, ``G`` clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.base import Strategy, embeddings_of, labelled_of, needs
from ml_backend.strategies.picks import Picks, Positions

ITERATIONS = 10
SEEDING_ITEMS = 4096
"""Items among which the first centres are looked for."""
MAX_CLUSTERS = 500
NEIGHBOURS = 20
MEMBERS = 2048
"""Members of one cluster among which neighbours are looked for."""
PER_CLUSTER = 5
"""Picks of `cluster` per cluster: its centroid, its outlier, three at random."""


@dataclass(frozen=True)
class Clusters:
    """A partition of ``N`` items into ``G`` clusters, some of which may be empty."""

    labels: NDArray[np.int64]
    """Cluster of each item ``[N]``."""
    centres: NDArray[np.float32]
    """``[G, D]``."""
    distances: NDArray[np.float32]
    """Squared distance of each item to its centre ``[N]``."""


def k_means(rows: NDArray[np.floating], clusters: int, rng: np.random.Generator) -> Clusters:
    """Lloyd's algorithm, at most 10 rounds, from k-means++ centres (Arthur & Vassilvitskii 2007).

    Centres are looked for among the first 4,096 rows: callers put rows into a drawn order. O(10 N G D).
    """
    from scipy import sparse

    x = np.ascontiguousarray(rows, dtype=np.float32)
    clusters = max(1, min(clusters, len(x)))
    if not len(x):
        return Clusters(np.zeros(0, np.int64), np.zeros((0, *x.shape[1:]), np.float32), np.zeros(0, np.float32))
    squares = np.einsum("nd,nd->n", x, x)
    centres = _plus_plus(x[: max(SEEDING_ITEMS, clusters)], clusters, rng)
    labels, gaps = _nearest(x, squares, centres)
    for _ in range(ITERATIONS):
        member = sparse.csr_matrix((np.ones(len(x), np.float32), (labels, np.arange(len(x)))), (clusters, len(x)))
        sizes = np.bincount(labels, minlength=clusters)[:, None]
        centres = np.where(sizes > 0, (member @ x) / np.maximum(sizes, 1), centres).astype(np.float32)
        before, (labels, gaps) = labels, _nearest(x, squares, centres)
        if np.array_equal(before, labels):
            break
    return Clusters(labels, centres, gaps)


def _nearest(
    x: NDArray[np.float32], squares: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    labels, gaps = np.empty(len(x), np.int64), np.empty(len(x), np.float32)
    weights = np.ascontiguousarray(-2.0 * centres.T)
    offsets = np.einsum("gd,gd->g", centres, centres)
    step = max(1, 2**19 // len(centres))
    for start in range(0, len(x), step):
        block = x[start : start + step] @ weights
        block += offsets
        labels[start : start + step] = nearest = block.argmin(axis=1)
        gaps[start : start + step] = np.take_along_axis(block, nearest[:, None], axis=1)[:, 0]
    return labels, np.maximum(gaps + squares, 0.0)


def _plus_plus(x: NDArray[np.float32], clusters: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Centres drawn one by one in proportion to the squared distance to those before ``[G, D]``."""
    squares = np.einsum("nd,nd->n", x, x)
    picked = [int(rng.integers(len(x)))]
    nearest = np.full(len(x), np.inf, np.float32)
    for _ in range(clusters - 1):
        last = picked[-1]
        nearest = np.minimum(nearest, np.maximum(squares + squares[last] - 2.0 * (x @ x[last]), 0.0))
        nearest[last] = 0.0
        edges = np.cumsum(nearest, dtype=np.float64)
        # Where only copies are left any row does.
        place = (
            np.searchsorted(edges, rng.random() * edges[-1], side="right") if edges[-1] > 0 else rng.integers(len(x))
        )
        picked.append(int(min(place, len(x) - 1)))
    return x[picked]


def typiclust(
    embeddings: NDArray[np.floating], labelled: NDArray[np.floating], count: int, rng: np.random.Generator
) -> Picks:
    """The most typical item of each of the largest clusters without a label (Hacohen, Dekel & Weinshall 2022).

    Open and labelled items are put into ``L + B`` clusters (at most 500). Clusters take turns, those with the fewest
    labels first, among them the largest; each gives its most typical item, ``1 / mean distance to its 20 nearest
    neighbours in the cluster``. In clusters of more than 2,048 items neighbours are looked for among the first 2,048.
    Utility: the cluster's share of the items.
    """
    open_count, taken = len(embeddings), min(count, len(embeddings))
    rows = np.concatenate([embeddings, np.reshape(labelled, (len(labelled), embeddings.shape[1]))])
    found = k_means(rows, min(len(labelled) + taken, MAX_CLUSTERS), rng)
    clusters = len(found.centres)
    sizes = np.bincount(found.labels, minlength=clusters)
    labels_in = np.bincount(found.labels[open_count:], minlength=clusters)
    turns = np.lexsort((-sizes, labels_in))
    members = _members(found.labels[:open_count], clusters)
    queues = {int(g): _typical_first(embeddings, members[g], taken) for g in turns if len(members[g])}
    order: list[int] = []
    values: list[float] = []
    reasons: dict[int, str] = {}
    while len(order) < taken:
        for g, queue in list(queues.items()):
            if len(order) == taken:
                break
            item = next(queue, None)
            if item is None:
                del queues[g]
                continue
            order.append(item)
            values.append(sizes[g] / len(rows))
            before = f"after {labels_in[g]:,} labelled or asked before" if labels_in[g] else "which has no label yet"
            group = f"typical of a group of {sizes[g]:,} similar tasks" if sizes[g] > 1 else "a group of its own"
            reasons[item] = f"{group}, {before}"
            labels_in[g] += 1
    return Picks.of(order, np.array(values), reasons)


TYPICLUST: Final = Strategy(
    "the most typical item of each cluster without a label: for the cold start, a few labels per class",
    "k-means into L + B clusters; per cluster the largest `1 / mean distance to 20 neighbours`",
    "Hacohen, Dekel & Weinshall 2022",
    "O(10 N D (L + B) + N²D / (L + B))",
    needs("embeddings", "labelled"),
    pick=lambda e, count: typiclust(embeddings_of(e), labelled_of(e), count, e.rng(2)),
    copies=embeddings_of,
    caveat="once every kind is labelled it goes on asking for typical, easy items",
)


def _typical_first(x: NDArray[np.floating], members: Positions, most: int) -> Iterator[int]:
    """Members of one cluster, most typical first; computed when first asked."""
    rows = np.asarray(x[members], dtype=np.float32)
    squares = np.einsum("nd,nd->n", rows, rows)
    others = slice(0, MEMBERS)
    spread = np.zeros(len(rows))
    neighbours = min(NEIGHBOURS, len(rows[others]) - 1)
    for start in range(0, len(rows), MEMBERS):
        block = slice(start, start + MEMBERS)
        gaps = squares[block, None] + squares[None, others] - 2.0 * (rows[block] @ rows[others].T)
        # The smallest is the item itself.
        near = np.partition(np.maximum(gaps, 0.0), neighbours, axis=1)[:, : neighbours + 1]
        spread[block] = np.sqrt(near).sum(axis=1) / max(neighbours, 1)
    yield from members[np.argsort(spread, kind="stable")[:most]].tolist()


def cluster(embeddings: NDArray[np.floating], count: int, rng: np.random.Generator) -> Picks:
    """Of each of ``B / 5`` clusters its centroid, its outlier and three random members (Monarch 2021, ch. 4).

    First the centroids, largest cluster first, then the outliers, then the random members in turns: the head of the
    queue is typical, and nothing is left unseen. The utility is the place.
    """
    taken = min(count, len(embeddings))
    if not taken:
        return Picks.by_place([])
    found = k_means(embeddings, -(-taken // PER_CLUSTER), rng)
    members = _members(found.labels, len(found.centres))
    members.sort(key=len, reverse=True)
    queues = []
    reasons: dict[int, str] = {}
    for group in filter(len, members):
        outward = group[np.argsort(found.distances[group], kind="stable")]
        middle = rng.permutation(outward[1:-1])
        queues.append(np.concatenate([outward[:1], outward[1:][-1:], middle]))
        among = f"of a group of {len(group):,} similar tasks"
        reasons |= dict.fromkeys(middle.tolist(), f"drawn from the middle {among}")
        reasons |= {int(outward[-1]): f"the outlier {among}", int(outward[0]): f"the centre {among}"}
    rounds = max(len(queue) for queue in queues)
    order = [int(queue[i]) for i in range(rounds) for queue in queues if i < len(queue)][:taken]
    return Picks.by_place(order, {item: reasons[item] for item in order})


CLUSTER: Final = Strategy(
    "from each cluster its centroid, its outlier and random members: an overview of the pool",
    "k-means into B / 5 clusters; 1 centroid, 1 outlier, 3 random each",
    "Monarch 2021, ch. 4",
    "O(10 N D B / 5)",
    needs("embeddings"),
    pick=lambda e, count: cluster(embeddings_of(e), count, e.rng(4)),
    copies=embeddings_of,
    caveat="on digits with a linear model worse than random from 100 to 300 labels",
)


def _members(labels: NDArray[np.int64], clusters: int) -> list[Positions]:
    """Positions of each cluster's items, rising."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    return np.split(order, np.cumsum(np.bincount(labels, minlength=clusters))[:-1])
