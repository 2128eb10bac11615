"""``auto`` where answers are sets: half of a batch covers the pool, and half is in doubt.

Axes: ``N`` items of the graph, ``O`` open ones, ``L`` labels, ``C`` classes, ``B`` picks.

With one choice an item, a few labels a class say where the classes lie, and what lies between them is asked about. Sets
have many more kinds than classes, most of them rare: what is in doubt is so about the few kinds that are known, and
some labels of a kind that nobody has seen teach more. So both are asked for, in turns.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.several import different_answers
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.strategies.answers import Sets
from ml_backend.strategies.auto_phases import is_cold
from ml_backend.strategies.auto_picks import apart, cold, with_model
from ml_backend.strategies.clusters import typiclust
from ml_backend.strategies.mixture import interleave
from ml_backend.strategies.picks import Picks
from ml_backend.strategies.rivals import doubts

TYPICAL_SHARE: Final = 0.5
"""Of a batch, that covers the pool."""


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
    turns = covering(count)
    open_points, labelled = (np.asarray(points[nodes], np.float32) for nodes in (graph.open, graph.labelled))
    typical = typiclust(open_points, labelled, int(turns.sum()), rng)
    answers = Sets(graph)
    beliefs = answers.probabilities()
    value = answers.utility(with_model(beliefs, graph))[graph.open]
    value[typical.order] = -1.0
    others = apart(value, graph, count - len(typical.order), after=graph.open[typical.order].tolist())
    reasons = dict(typical.reasons)
    for item in others:
        said = None if graph.model is None else graph.model[item]
        reasons[item] = doubts(beliefs[graph.open[item]], said)
    order = np.empty(count, dtype=np.int64)
    order[~turns], order[turns] = others, typical.order
    return Picks.by_place(order.tolist(), reasons)


def covering(count: int) -> NDArray[np.bool_]:
    """Whether each of so many places in a row is one of those that cover the pool ``[B]``.

    What comes there is chosen without a look at any answer: by the clusters of the pool alone.
    """
    typical = round(TYPICAL_SHARE * count)
    return np.asarray(interleave([count - typical, typical]) == 1)
