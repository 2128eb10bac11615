"""A neighbour graph of embeddings, and labels spread over it.

Axes: ``N`` items, ``T`` views of one item, ``D`` embedding dimensions, ``k`` neighbours, ``C`` classes, ``L`` labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware

if TYPE_CHECKING:
    from scipy import sparse

Floats = NDArray[np.float32]
Vectors = NDArray[np.floating]
"""Of items ``[N, D]``, in 16 or 32 bits."""
Positions = NDArray[np.int64]
Edges = tuple[Positions, Floats]
"""Neighbours ``[N, k]`` and squared distances to them ``[N, k]``, nearest first."""

NEIGHBOURS: Final = 10
BLOCK: Final = 256
ALPHA: Final = 0.99
"""``a``: share of what an item believes that comes from its neighbours."""
BANDWIDTH: Final = 3.0
"""Width of the edges' kernel, in median squared distances."""
TOLERANCE: Final = 1e-5
MOST_STEPS: Final = 100
COORDINATES: Final = 15
"""Eigenvectors that a cold start looks at."""
BALANCING: Final = 10
"""Turns of scaling columns and rows."""


@dataclass(frozen=True)
class Neighbourhood:
    """Open and labelled items in one graph."""

    weights: sparse.csr_matrix
    """`affinity` ``[N, N]``."""
    coordinates: Callable[[], Floats]
    """Computes `coordinates` ``[N, G]``: a cold start alone goes by them, and in a large graph they take long."""
    open: Positions
    """Node of each open item; copies share one ``[O]``."""
    labelled: Positions
    """Node of each labelled item ``[L]``."""
    targets: Positions
    """Classes of the labelled items ``[L]``, or their sets ``[L, C]``."""
    prior: NDArray[np.float64]
    """Expected share of each class ``[C]``; of sets the share of the items that have it."""
    model: Floats | None = None
    """A model's probabilities of the open items ``[O, C]``; None without one."""
    over_classes: str = "mean"
    """Of sets: whether an item's doubt is the ``mean`` or the ``largest`` of its classes'."""
    rows: Vectors | None = None
    """What the graph was made of ``[N, D]``; None: only its `coordinates` are known."""

    def take(self, rows: Positions) -> Neighbourhood:
        """The same graph, with some of the open items, in this order."""
        return replace(self, open=self.open[rows], model=None if self.model is None else self.model[rows])

    @property
    def classes(self) -> int:
        """C."""
        return len(self.prior)


@hardware.threads()
def nearest(views: Iterable[Floats], others: Floats, count: int) -> Edges:
    """The ``count`` nearest of ``others [M, D]`` to each item, by the closest of its views ``T x [N, D]``.

    ``d(i, j) = min_t |v_t(i) - e(j)|²``, found as the largest ``v_t(i) · e(j) - |v_t(i)|² / 2``: one matrix product a
    view, by blocks of rows that stay in the cache. O(T N M D).

    Args:
        views: the items in each of their guises, `Encoder.views`.
        others: ``e``, among which neighbours are looked for.
        count: neighbours of each item; fewer where there are not so many others.
    """
    import torch

    # Views of the arrays, not copies: of a large pool each is some hundred megabytes.
    rows = _writable(others)
    base, lengths = torch.from_numpy(rows).T, torch.from_numpy(_squares(rows))
    queries = [(torch.from_numpy(_writable(view)), torch.from_numpy(-0.5 * _squares(view))) for view in views]
    items, count = len(queries[0][0]), min(count, len(others))
    near, gaps = np.empty((items, count), np.int64), np.empty((items, count), np.float32)
    for start in range(0, items, BLOCK):
        block = slice(start, start + BLOCK)
        products = (torch.addmm(half[block, None], view[block], base) for view, half in queries)
        best = next(products)
        for product in products:
            torch.maximum(best, product, out=best)
        squares = best.mul_(-2).add_(lengths)
        found = squares.topk(count, dim=1, largest=False)
        near[block], gaps[block] = found.indices.numpy(), found.values.clamp_min(0).numpy()
    return near, gaps


def _writable(rows: Floats) -> Floats:
    """The same in 32 bits, copied only where it is in others, or torch would warn of it."""
    return np.require(rows, np.float32, ["C", "W"])


def _squares(rows: Floats) -> Floats:
    """Squared length of each row ``[N]``."""
    parts = [np.square(rows[start : start + BLOCK]).sum(axis=1) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def affinity(edges: Edges) -> sparse.csr_matrix:
    """Symmetric normalised weights ``S = D^-1/2 (W + W^T) D^-1/2``, sparse ``[N, N]``.

    ``w_ij = exp(-d_ij / (3 m))`` for the neighbours ``j`` of ``i``, ``m`` the median of all squared distances;
    ``D`` the row sums. No item is its own neighbour; rows of items without any are zero. Source: Zhou et al. 2004,
    https://proceedings.neurips.cc/paper/2003/hash/87682805257e619d49b8e0dfdc14affa-Abstract.html.
    """
    from scipy import sparse

    near, gaps = edges
    items, count = near.shape
    others = near != np.arange(items)[:, None]
    median = float(np.median(gaps[others])) if others.any() else 0.0
    kernel = np.exp(-gaps / (BANDWIDTH * median)) if median > 0 else np.ones_like(gaps)
    rows = np.repeat(np.arange(items), count)[others.ravel()]
    one_way = sparse.csr_matrix((kernel[others].astype(np.float32), (rows, near[others])), (items, items))
    both = (one_way + one_way.T).tocsr()
    degrees = np.asarray(both.sum(axis=1), dtype=np.float32).ravel()
    scale = np.where(degrees > 0, 1.0 / np.sqrt(np.maximum(degrees, 1e-12)), 0.0).astype(np.float32)
    both.data *= scale[both.indices] * np.repeat(scale, np.diff(both.indptr))
    return both


def propagate(weights: sparse.csr_matrix, sources: Floats) -> Floats:
    """What sources send to every item: ``(I - a S)^-1 sources``, ``[N, M]`` as they are, none negative.

    By conjugate gradients, all columns at once: the matrix is symmetric and positive definite with eigenvalues in
    ``[1 - a, 1 + a]``, so some 50 products of the sparse matrix do. It is linear: what a further label sends can be
    added to what is known.
    """
    found = np.zeros_like(sources)
    residual, direction = sources.copy(), sources.copy()
    size = np.square(residual).sum(axis=0)
    for _ in range(MOST_STEPS):
        if not (size > TOLERANCE**2).any():
            break
        image = direction - ALPHA * (weights @ direction)
        step = size / np.maximum((direction * image).sum(axis=0), 1e-30)
        found += step * direction
        residual -= step * image
        before, size = size, np.square(residual).sum(axis=0)
        direction = residual + (size / np.maximum(before, 1e-30)) * direction
    return np.maximum(found, 0.0)


def spread(weights: sparse.csr_matrix, labelled: Positions, sources: Floats) -> Floats:
    """`propagate` of what labelled items send ``[L, M]``, those of one item together ``[N, M]``."""
    at_nodes = np.zeros((weights.shape[0], sources.shape[1]), np.float32)
    np.add.at(at_nodes, labelled, sources)
    return propagate(weights, at_nodes)


def label_sources(targets: Positions, classes: int) -> Floats:
    """What labels send: each 1 in its class's column ``[L, C]``."""
    sources = np.zeros((len(targets), classes), np.float32)
    sources[np.arange(len(targets)), targets] = 1.0
    return sources


def label_mass(weights: sparse.csr_matrix, labelled: Positions, targets: Positions, classes: int) -> Floats:
    """`propagate` of all labels of each class together ``[N, C]``."""
    return spread(weights, labelled, label_sources(targets, classes))


def label_probabilities(
    mass: Floats, labelled: Positions, targets: Positions, prior: NDArray[np.floating], power: float = 1.0
) -> Floats:
    """Class probabilities of every item from the labels of a few, their totals balanced ``[N, C]``.

    ``F = (I - a S)^-1 Y`` with each class's labels weighing 1 together (Zhou et al. 2004); rows become
    probabilities; then columns are scaled to the ``prior``'s shares and rows to 1 in turns (class mass normalisation,
    Zhu, Ghahramani & Lafferty 2003, iterated as in Sinkhorn & Knopp 1967). Classes without a label get nothing.
    Labelled items keep their label. Items that no label reaches get the prior.

    Args:
        mass: `label_mass` ``[N, C]``.
        labelled: positions of the labelled items ``[L]``.
        targets: their classes ``[L]``.
        prior: expected share of each class ``[C]``.
        power: of the rows before they are balanced. What arrives over a graph hardly differs between the classes; at 1
            the shares bind these sums alone, and one share a little above the others can make its class the likeliest
            of all items. At a high power they bind how many items each class is the likeliest of.
    """
    counts = np.bincount(targets, minlength=len(prior)).astype(np.float32)
    wanted = seen_shares(prior, targets)
    rows = mass / np.maximum(counts, 1.0)
    totals = rows.sum(axis=1, keepdims=True)
    rows = balanced(np.where(totals > 1e-12, rows / np.maximum(totals, 1e-12), wanted), wanted, power)
    rows[labelled] = 0.0
    rows[labelled, targets] = 1.0
    return np.asarray(rows, dtype=np.float32)


def seen_shares(prior: NDArray[np.floating], targets: Positions) -> Floats:
    """Expected shares of the classes that have a label ``[C]``; the others get nothing."""
    counts = np.bincount(targets, minlength=len(prior))
    wanted = np.where(counts > 0, prior, 0.0)
    return np.asarray(wanted / max(float(wanted.sum()), 1e-12), dtype=np.float32)


def balanced(rows: Floats, shares: Floats, power: float = 1.0) -> Floats:
    """Rows of probabilities, to a power, columns scaled to the shares' totals and rows to 1 in turns ``[N, C]``."""
    scaled = rows.copy()
    if power != 1:
        scaled = (scaled / np.maximum(scaled.max(axis=1, keepdims=True), 1e-30)) ** power
        scaled /= np.maximum(scaled.sum(axis=1, keepdims=True), 1e-12)
    for _ in range(BALANCING):
        scaled *= shares / np.maximum(scaled.mean(axis=0), 1e-9)
        scaled /= np.maximum(scaled.sum(axis=1, keepdims=True), 1e-12)
    return scaled


def coordinates(weights: sparse.csr_matrix) -> Floats:
    """The graph's largest eigenvectors, rows made length 1 ``[N, G]``: items of one cluster point the same way.

    Source: Ng, Jordan & Weiss 2001,
    https://proceedings.neurips.cc/paper/2001/hash/801272ee79cfde7fa5960571fee36b9b-Abstract.html.
    """
    # Imported when used: only a cold start needs it.
    from scipy.sparse.linalg import eigsh

    items = weights.shape[0]
    if items <= COORDINATES + 1:
        _, vectors = np.linalg.eigh(weights.toarray().astype(np.float64))
        vectors = vectors[:, ::-1][:, :COORDINATES]
    else:
        # A fixed start: the default one is drawn from the global random state.
        with hardware.threads():
            _, vectors = eigsh(weights.astype(np.float64), k=COORDINATES, which="LA", v0=np.ones(items))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-12, lengths, 1.0), dtype=np.float32)
