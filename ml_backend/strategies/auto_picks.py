"""What the two forms of ``auto`` share: picks before there are labels to go by, and picks that lie apart.

Axes: ``N`` items of the graph, ``O`` open ones, ``C`` classes, ``B`` picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ml_backend.semi_supervised.graph import Floats, Neighbourhood
from ml_backend.strategies.auto_phases import cold_picks
from ml_backend.strategies.clusters import typiclust
from ml_backend.strategies.picks import Picks

if TYPE_CHECKING:
    from scipy import sparse

SPACED: Final = 10
"""Picks in a row of which no two are neighbours: people tire of six headlines in a row about one event, and take the
answer to the first for that to the others."""


def cold(graph: Neighbourhood, count: int, rng: np.random.Generator) -> Picks:
    """The cold picks, as many clusters as are still wanted, then the same again with these as labelled."""
    points = graph.coordinates()
    first = min(count, max(cold_picks(graph.classes) - len(graph.labelled), 1))
    chosen = typiclust(points[graph.open], points[graph.labelled], first, rng)
    rest = np.setdiff1d(np.arange(len(graph.open)), chosen.order)
    done = np.concatenate([graph.labelled, graph.open[chosen.order]])
    more = typiclust(points[graph.open[rest]], points[done], count - first, rng)
    reasons = dict(chosen.reasons) | {int(rest[item]): reason for item, reason in more.reasons.items()}
    return Picks.by_place([*chosen.order.tolist(), *rest[more.order].tolist()], reasons)


def with_model(beliefs: Floats, graph: Neighbourhood) -> Floats:
    """The graph's beliefs averaged with the model's: an item on which the two disagree lies in between ``[N, C]``."""
    if graph.model is None:
        return beliefs
    both = beliefs.copy()
    both[graph.open] = (beliefs[graph.open] + graph.model) / 2
    return both


def apart(value: Floats, graph: Neighbourhood, count: int, *, after: Sequence[int] = ()) -> list[int]:
    """The open items of highest value of which no two are neighbours or copies; more only where there are no others.

    Args:
        value: of each open item; negative: not to be picked ``[O]``.
        graph: whose open items they are.
        count: how many.
        after: nodes that were picked before; their neighbours and copies are left out likewise.
    """
    picked: list[int] = []
    blocked = {near for node in after for near in _around(graph, node)}
    ranked = np.argsort(-value, kind="stable")[: int((value >= 0).sum())]
    for item in ranked.tolist():
        if len(picked) == count:
            return picked
        node = int(graph.open[item])
        if node not in blocked:
            picked.append(item)
            blocked |= _around(graph, node)
    taken = set(picked)
    return picked + [item for item in ranked.tolist() if item not in taken][: count - len(picked)]


def _around(graph: Neighbourhood, node: int) -> set[int]:
    """A node and its neighbours."""
    weights = graph.weights
    return {node, *weights.indices[weights.indptr[node] : weights.indptr[node + 1]].tolist()}


def with_neighbours(m: Floats, weights: sparse.csr_matrix) -> Floats:
    """``m · S S m [N]``: what is so itself, and among neighbours and their neighbours, before outliers."""
    return np.asarray(m * (weights @ (weights @ m)), dtype=np.float32)
