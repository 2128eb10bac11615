"""``auto`` where answers are sets: half of a batch covers the pool, and half is in doubt.

Axes: ``N`` items of the graph, ``O`` open ones, ``L`` labels, ``C`` classes, ``B`` picks.

With one choice an item, a few labels a class say where the classes lie, and what lies between them is asked about. Sets
have many more kinds than classes, most of them rare: what is in doubt is so about the few kinds that are known, and
some labels of a kind that nobody has seen teach more. So both are asked for, in turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ml_backend.models.several import different_answers
from ml_backend.semi_supervised.graph import Floats, Neighbourhood, set_mass, set_probabilities
from ml_backend.strategies.auto_phases import is_cold
from ml_backend.strategies.auto_picks import apart, cold, with_model, with_neighbours
from ml_backend.strategies.clusters import typiclust
from ml_backend.strategies.mixture import interleave
from ml_backend.strategies.picks import Picks
from ml_backend.strategies.rivals import doubts

if TYPE_CHECKING:
    from scipy import sparse

TYPICAL_SHARE: Final = 0.5
"""Of a batch, that covers the pool."""
BINDING: Final = 16.0
"""Power of beliefs before they are bound to the classes' rates: what arrives over the graph hardly differs between
items, and all would be in doubt alike."""


def auto_of_sets(graph: Neighbourhood, count: int, rng: np.random.Generator) -> Picks:
    """The next ``count`` open items: `typiclust`, in turns with those `in_doubt`.

    Clusters are as many as labels and picks together, for which the few coordinates of the graph are too coarse: they
    are of what it was made of, where that is known.

    Args:
        graph: open and labelled items, with sets ``[L, C]``, and what a model says of them.
        count: B.
        rng: of the clusters.
    """
    count = min(count, len(graph.open))
    if is_cold(len(graph.labelled), different_answers(graph.targets), graph.classes):
        return cold(graph, count, rng)
    points = graph.coordinates() if graph.rows is None else graph.rows
    typical = typiclust(points[graph.open], points[graph.labelled], round(TYPICAL_SHARE * count), rng)
    mass = set_mass(graph.weights, graph.labelled, graph.targets)
    beliefs = set_probabilities(mass, graph.labelled, graph.targets, graph.prior, BINDING)
    value = in_doubt(with_model(beliefs, graph), graph.weights, graph.over_classes)[graph.open]
    value[typical.order] = -1.0
    others = apart(value, graph, count - len(typical.order), after=graph.open[typical.order].tolist())
    reasons = dict(typical.reasons)
    for item in others:
        said = None if graph.model is None else graph.model[item]
        reasons[item] = doubts(beliefs[graph.open[item]], said)
    turns = interleave([len(others), len(typical.order)])
    order = np.empty(len(turns), dtype=np.int64)
    order[turns == 0], order[turns == 1] = others, typical.order
    return Picks.by_place(order.tolist(), reasons)


def in_doubt(beliefs: Floats, weights: sparse.csr_matrix, over_classes: str) -> Floats:
    """How much a set would tell about the nodes around ``[N]``: ``h · S S h``, ``h`` of the classes' binary entropies.

    Args:
        beliefs: of each class by itself ``[N, C]``.
        weights: of the graph ``S [N, N]``.
        over_classes: whether ``h`` is their ``mean`` or the ``largest``.
    """
    p = np.clip(beliefs, 1e-6, 1 - 1e-6)
    entropies = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    h = entropies.max(axis=1) if over_classes == "largest" else entropies.mean(axis=1)
    return with_neighbours(h.astype(np.float32), weights)
