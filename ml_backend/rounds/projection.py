"""Embeddings → places on a map, which moves smoothly from one model to the next.

Each training makes another embedding, so that a projection fitted once could not show what the next model has learnt,
and one fitted anew each time would jump. Here every layout begins where the one before ended, new items at their
nearest neighbours, and is then turned, mirrored and scaled onto it. Where the model is the same, nothing moves.

Axes: ``N`` items, ``D`` embedding dimensions.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.store.pool_map import Layout, Places

FEWEST: Final = 100
"""Items below which the two first principal components are shown: UMAP needs neighbourhoods, and is slow to load."""
NEIGHBOURS: Final = 15
MIN_DIST: Final = 0.35
"""Distance of neighbours on the map: groups that are wide enough to be looked into, at some cost in stillness."""
FIRST_EPOCHS: Final = 200
FIRST_RATE: Final = 1.0
NEXT_EPOCHS: Final = 50
NEXT_RATE: Final = 0.25
"""Of the layouts that go on from another: enough to be as true to the embedding as a fresh one, and no more."""
KNOWN_ENOUGH: Final = 0.2
"""Share of the items that must have a place already for a layout to go on from them."""
PLACED_BY: Final = 5
"""Neighbours whose mean a new item starts at."""
WIDTH: Final = 10.0
"""Largest coordinate of a first layout's start; what UMAP itself uses."""


NOTHING: Final = Layout(np.zeros(0, np.int64), np.zeros((0, 2), np.float32))


def is_settled(layout: Layout) -> bool:
    """Whether UMAP made it, so that the next may go on from it with small steps."""
    return len(layout.task_ids) >= FEWEST


def lay_out(embeddings: NDArray[np.floating], task_ids: Ids, before: Layout = NOTHING, *, seed: int) -> Layout:
    """A map of the items by UMAP (McInnes, Healy & Melville 2018, https://arxiv.org/abs/1802.03426).

    Deterministic: one thread, the neighbours exact, the start from principal components (Kobak & Linderman 2021) or
    from ``before``. The result is aligned with ``before`` by the similarity transform that brings the shared items
    closest (orthogonal Procrustes, Schönemann 1966). O(N² D) for the neighbours.

    Args:
        embeddings: ``[N, D]``, of any model, finite.
        task_ids: ``[N]``.
        before: the last layout.
        seed: of the optimisation.

    Raises:
        ValueError: shapes differ, or a value is not finite.
    """
    x = np.ascontiguousarray(embeddings, dtype=np.float32)
    ids = np.asarray(task_ids, dtype=np.int64)
    if x.ndim != 2 or len(x) != len(ids):
        raise ValueError(f"{len(ids)} task ids but embeddings of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("an embedding is not finite")
    known, rows = _shared(ids, before)
    goes_on = len(known) >= max(KNOWN_ENOUGH * len(ids), 2)
    start = _start(x, known, before.places[rows]) if goes_on else components(x)
    if len(ids) < FEWEST:
        places = components(x)
    elif goes_on and is_settled(before):
        places = _umap(x, start, epochs=NEXT_EPOCHS, rate=NEXT_RATE, seed=seed)
    else:
        places = _umap(x, start, epochs=FIRST_EPOCHS, rate=FIRST_RATE, seed=seed)
    if len(known) > 1:
        places = _aligned(places, known, before.places[rows])
    return Layout(ids, places)


def place_new(embeddings: NDArray[np.floating], task_ids: Ids, before: Layout) -> Layout:
    """The map that there is, with items that it lacks at the mean of their nearest neighbours in it.

    For items of the same model as ``before``. One that shares no item with ``before`` cannot be placed in it.

    Raises:
        ValueError: nothing is shared.
    """
    ids = np.asarray(task_ids, dtype=np.int64)
    known, rows = _shared(ids, before)
    if not len(known):
        raise ValueError("none of the items has a place yet")
    return Layout(ids, _start(np.asarray(embeddings, dtype=np.float32), known, before.places[rows]))


def components(embeddings: NDArray[np.floating]) -> Places:
    """The first two principal components, scaled to at most 10 ``[N, 2]``; missing ones are 0."""
    x = np.asarray(embeddings, dtype=np.float64)
    places = np.zeros((len(x), 2))
    if not len(x):
        return places.astype(np.float32)
    centred = x - x.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    # An eigenvector's sign is arbitrary, and differs between machines.
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    places[:, : axes.shape[1]] = centred @ axes
    largest = np.abs(places).max()
    return np.asarray(places * (WIDTH / largest if largest > 0 else 0.0), dtype=np.float32)


def _shared(ids: Ids, before: Layout) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the shared items in ``ids`` and in ``before``."""
    _, here, there = np.intersect1d(ids, before.task_ids, assume_unique=True, return_indices=True)
    return here.astype(np.int64), there.astype(np.int64)


def _start(x: NDArray[np.float32], known: NDArray[np.int64], places: Places) -> Places:
    """Known items where they are, others at the mean of their nearest known ones ``[N, 2]``."""
    start = np.empty((len(x), 2), dtype=np.float32)
    start[known] = places
    new = np.setdiff1d(np.arange(len(x)), known)
    if len(new):
        _, nearest = _nearest(x[known], x[new], min(PLACED_BY, len(known)))
        start[new] = places[nearest].mean(axis=1)
    return start


def _nearest(
    among: NDArray[np.float32], of: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distances and positions of the nearest rows, nearest first ``[M, count]``, exact."""
    from sklearn.neighbors import NearestNeighbors  # here: a second or two, which readers of maps need not wait

    found = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(among).kneighbors(of)
    return found[0].astype(np.float32), found[1]


def _aligned(places: Places, known: NDArray[np.int64], target: Places) -> Places:
    """``places`` after the similarity transform that brings the known ones closest to ``target``."""
    from scipy.linalg import orthogonal_procrustes

    from_centre, to_centre = places[known].mean(axis=0), target.mean(axis=0)
    moved, fixed = places[known] - from_centre, target - to_centre
    size = float((moved.astype(np.float64) ** 2).sum())
    if size == 0 or not np.any(fixed):
        return places
    turn, scale = orthogonal_procrustes(moved.astype(np.float64), fixed.astype(np.float64))
    return np.asarray((places - from_centre) @ turn * (scale / size) + to_centre, dtype=np.float32)


def _umap(x: NDArray[np.float32], start: Places, *, epochs: int, rate: float, seed: int) -> Places:
    """UMAP's layout from a given start.

    From the parts of umap-learn: its class squeezes any given start into a square first, which doubles the movement.
    """
    umap, layouts = _load_umap()
    distances, neighbours = _nearest(x, x, NEIGHBOURS)
    random = np.random.RandomState(seed)
    graph, _, _ = umap.fuzzy_simplicial_set(
        x, NEIGHBOURS, random, "euclidean", knn_indices=neighbours, knn_dists=distances
    )
    graph = graph.tocoo()
    graph.sum_duplicates()
    graph.data[graph.data < graph.data.max() / epochs] = 0.0  # an edge that would never be drawn
    graph.eliminate_zeros()
    a, b = umap.find_ab_params(1.0, MIN_DIST)
    # Items at one spot would be pulled nowhere.
    places = np.array(start + random.normal(scale=1e-4, size=start.shape), dtype=np.float32, order="C")
    found = layouts.optimize_layout_euclidean(
        places,
        places,
        graph.row,
        graph.col,
        epochs,
        len(x),
        umap.make_epochs_per_sample(graph.data, epochs),
        a,
        b,
        random.randint(np.iinfo(np.int32).min, np.iinfo(np.int32).max, 3).astype(np.int64),
        initial_alpha=rate,
        parallel=False,
        move_other=True,
    )
    return np.asarray(found, dtype=np.float32)


@cache
def _load_umap() -> tuple[Any, Any]:
    """umap-learn's modules, on first use: the import and numba's compiling are slow.

    What umap-learn has compiled anew in each process is kept where numba keeps the rest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses TensorFlow, which nobody needs here
        from umap import layouts, umap_
    for compiled in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        with suppress(RuntimeError):  # no folder that can be written to
            compiled.enable_caching()
    return umap_, layouts
