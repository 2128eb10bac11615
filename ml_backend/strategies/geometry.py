"""Strategies that look at where items lie, not at what the model says.

Axes: ``N`` open items, ``L`` labelled items, ``D`` embedding dimensions, ``B`` picks. Embeddings are ``[N, D]`` and
``[L, D]``, L may be 0. Ties go to the earlier row: callers put rows into a drawn order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.base import Strategy, embeddings_of, labelled_of, needs
from ml_backend.strategies.clusters import k_means
from ml_backend.strategies.picks import Floats, Picks

Embeddings = NDArray[np.floating]
BLOCK = 1024
BALL_ITEMS = 8192
"""Most items among which `probcover` counts neighbours."""
PURITY = 0.95
"""Share of pure balls at which `probcover` sets the radius (Yehuda et al. 2022, section 3.3)."""


def unit(embeddings: Embeddings) -> Floats:
    """Rows of length 1, ``float64 [N, D]``; a zero row stays zero."""
    rows = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))


def representative(embeddings: Embeddings, labelled: Embeddings) -> Floats:
    """``(2 + cos(x, mean of the open) - cos(x, mean of the labelled)) / 4``, in [0, 1] ``[N]`` (Monarch 2021, ch. 4).

    Means are of rows of length 1. What is common in the pool and not yet among the labels comes first.
    """
    x, done = unit(embeddings), unit(labelled)
    return _representativeness(x @ x.sum(axis=0), x @ done.sum(axis=0), x.sum(axis=0), done.sum(axis=0))


REPRESENTATIVE: Final = Strategy(
    "what is common in the pool and not yet among the labels: after the pool has changed",
    "`(2 + cos(h, mean open) - cos(h, mean labelled)) / 4`",
    "Monarch 2021, ch. 4",
    "O((N + L) D)",
    needs("embeddings", "labelled"),
    score=lambda e: representative(embeddings_of(e), labelled_of(e)),
    caveat="its best items are alike; `adaptive_representative` spreads them; "
    "on digits with a linear model worse than random from 10 to 100 labels",
)


def adaptive_representative(embeddings: Embeddings, labelled: Embeddings, count: int) -> Picks:
    """`representative`, computed anew after each pick, which moves from the open to the labelled (Monarch, ch. 4).

    O(B N D): a pick changes both sums by one row, hence all products by one matrix-vector product.
    """
    x, done = unit(embeddings), unit(labelled)
    open_sum, done_sum = x.sum(axis=0), done.sum(axis=0)
    to_open, to_done = x @ open_sum, x @ done_sum
    order: list[int] = []
    values = np.empty(min(count, len(x)))
    left = np.ones(len(x), dtype=np.bool_)
    for i in range(len(values)):
        score = _representativeness(to_open, to_done, open_sum, done_sum)
        best = int(np.argmax(np.where(left, score, -np.inf)))
        order.append(best)
        values[i], left[best] = score[best], False
        near = x @ x[best]
        to_open, to_done = to_open - near, to_done + near
        open_sum, done_sum = open_sum - x[best], done_sum + x[best]
    return Picks.of(order, values)


ADAPTIVE_REPRESENTATIVE: Final = Strategy(
    "as `representative`, computed anew after each pick: spreads out",
    "as `representative`, picks count as labelled",
    "Monarch 2021, ch. 4",
    "O((L + B) N D)",
    needs("embeddings", "labelled"),
    pick=lambda e, count: adaptive_representative(embeddings_of(e), labelled_of(e), count),
    copies=embeddings_of,
)


def _representativeness(to_open: Floats, to_done: Floats, open_sum: Floats, done_sum: Floats) -> Floats:
    def cosine(products: Floats, total: Floats) -> Floats:
        length = np.linalg.norm(total)
        return np.asarray(products / length if length > 1e-9 else np.zeros_like(products))

    return np.asarray((2.0 + cosine(to_open, open_sum) - cosine(to_done, done_sum)) / 4.0)


def k_center(embeddings: Embeddings, labelled: Embeddings, count: int) -> Picks:
    """Greedy farthest point: each pick has the largest distance to all labels and picks (Sener & Savarese 2018).

    The largest gap that the pool leaves is at most twice the best possible (Gonzalez 1985). Without labels the first
    pick is the item nearest to the mean. O((L + B) N D), no ``[N, N]`` matrix.
    """
    x, done = np.asarray(embeddings, dtype=np.float64), np.asarray(labelled, dtype=np.float64)
    order: list[int] = []
    gaps = np.empty(min(count, len(x)))
    if not len(gaps):
        return Picks.of(order, gaps)
    x_sq = np.einsum("nd,nd->n", x, x)
    nearest: Floats = np.full(len(x), np.inf)
    for start in range(0, len(done), BLOCK):
        block = done[start : start + BLOCK]
        squares = np.einsum("ld,ld->l", block, block)
        nearest = np.minimum(nearest, (squares - 2.0 * (x @ block.T)).min(axis=1) + x_sq)
    if not len(done):
        mean = x.mean(axis=0)
        order.append(int(np.argmin(x_sq - 2.0 * (x @ mean))))
        nearest = _squared(x, x_sq, order[0])
    while len(order) < len(gaps):
        nearest[order] = -1.0
        best = int(np.argmax(nearest))
        gaps[len(order)] = np.sqrt(max(nearest[best], 0.0))
        order.append(best)
        nearest = np.minimum(nearest, _squared(x, x_sq, best))
    if not len(done):
        gaps[0] = gaps[1] if len(gaps) > 1 else 1.0
    return Picks.relative(order, gaps)


K_CENTER: Final = Strategy(
    "what is farthest from everything labelled or picked: covers the pool, outliers first",
    "greedy `argmax min_j |h - h_j|`, j labelled or picked",
    "Sener & Savarese 2018",
    "O((L + B) N D)",
    needs("embeddings", "labelled"),
    pick=lambda e, count: k_center(embeddings_of(e), labelled_of(e), count),
    copies=embeddings_of,
    caveat="asks for outliers and damaged items first; needs good embeddings; "
    "on digits with a linear model worse than random from 100 to 300 labels",
)


def _squared(x: Floats, x_sq: Floats, row: int) -> Floats:
    """Squared distances of all rows to one ``[N]``, 0 for its copies."""
    return np.asarray(np.maximum(x_sq + x_sq[row] - 2.0 * (x @ x[row]), 0.0))


def probcover(
    embeddings: Embeddings, labelled: Embeddings, count: int, *, classes: int, rng: np.random.Generator
) -> Picks:
    """Greedy cover by balls: each pick's ball holds most items that no ball holds yet (Yehuda et al. 2022).

    Rows are made length 1. The radius is the largest at which 19 of 20 balls are pure, that is, hold one cluster
    of a k-means with as many clusters as classes. When all is covered a second cover begins.

    Prefilter: neighbours are counted among at most `BALL_ITEMS` items, the first rows; only those are picked unless
    more are asked for. O(min(N, 8192)² D).
    """
    x = unit(embeddings)[: max(BALL_ITEMS, count)].astype(np.float32)
    done = unit(labelled).astype(np.float32)
    taken = min(count, len(x))
    if taken == 0:
        return Picks.of([], np.zeros(0))
    cosine = pure_cosine(x, classes, rng)
    starts, near = _neighbours(x, cosine)
    covered = np.zeros(len(x), dtype=np.bool_)
    for start in range(0, len(done), BLOCK):
        covered |= (x @ done[start : start + BLOCK].T >= cosine).any(axis=1)
    picked = np.zeros(len(x), dtype=np.bool_)
    degree = _degrees(starts, near, covered)
    order: list[int] = []
    values: list[float] = []
    reasons: dict[int, str] = {}
    while len(order) < taken:
        if covered.all():
            covered = picked.copy()
            degree = _degrees(starts, near, covered)
        best = int(np.argmax(np.where(picked, -1, degree)))
        order.append(best)
        values.append(float(degree[best]) / len(x))
        reasons[best] = f"{degree[best]:,} tasks lie close by, far from all labelled or asked before"
        picked[best] = True
        ball = near[starts[best] : starts[best + 1]]
        # Each item is covered once: O(edges) in all.
        lost = [near[starts[item] : starts[item + 1]] for item in ball[~covered[ball]]]
        degree -= np.bincount(np.concatenate([*lost, near[:0]]), minlength=len(x))
        covered[ball] = True
        covered[best] = True
    return Picks.of(order, np.array(values), reasons)


PROBCOVER: Final = Strategy(
    "the items with most others close by and none labelled: for the cold start",
    "greedy `argmax |uncovered items within δ|`, δ where 95 % of the balls are pure",
    "Yehuda et al. 2022",
    "O(min(N, 8192)² D)",
    needs("embeddings", "labelled"),
    pick=lambda e, count: probcover(embeddings_of(e), labelled_of(e), count, classes=e.classes, rng=e.rng(3)),
    copies=embeddings_of,
    caveat="as `typiclust`; of a pool above 8,192 items it sees a drawn sample of that size; "
    "on digits with a linear model worse than random from 10 to 100 labels",
)


def pure_cosine(x: NDArray[np.float32], classes: int, rng: np.random.Generator) -> float:
    """Cosine of the radius below which 19 of 20 balls (of up to 1,024 items) are pure."""
    cluster = k_means(x, classes, rng).labels
    if cluster.min() == cluster.max():
        return 1.0 - 1e-6
    rows = slice(0, BLOCK)
    foreign = np.where(cluster[rows, None] == cluster[None, :], -1.0, x[rows] @ x.T)
    # Each ball is pure up to its nearest item of another cluster.
    return float(np.clip(np.quantile(foreign.max(axis=1), PURITY), -1.0, 1.0 - 1e-6))


def _neighbours(x: NDArray[np.float32], cosine: float) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Who lies in whose ball: ``near[starts[i]:starts[i + 1]]`` are the items within the radius of item i."""
    found, counts = [], []
    for start in range(0, len(x), BLOCK):
        inside = x[start : start + BLOCK] @ x.T > cosine
        counts.append(inside.sum(axis=1))
        found.append(np.nonzero(inside)[1].astype(np.int32))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return starts, np.concatenate(found)


def _degrees(starts: NDArray[np.int64], near: NDArray[np.int32], covered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many uncovered items each ball holds ``[N]``."""
    counted = np.concatenate([[0], np.cumsum(~covered[near])])
    return np.asarray(counted[starts[1:]] - counted[starts[:-1]], dtype=np.int64)
