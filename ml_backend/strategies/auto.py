"""The strategy ``auto``: typical items of clusters first, then items between the classes of a neighbour graph.

Where answers are sets `auto_sets` says what comes then.

Every third item is one that the labels so far hardly reach, and every second one while a class of the labeling config
has no label. Model and graph cannot ask for such: they put the whole pool into the classes, and kinds of a class, that
they know, and are sure of it.

Axes: ``N`` items of the graph, ``O`` open ones, ``L`` labels, ``C`` classes, ``B`` picks.

The graph says after every single label what it changes, so that the items of one batch know of each other: each pick
is taken to have the class that the graph expects of it, until somebody says otherwise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.models.several import different_answers
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.strategies.answers import Choices
from ml_backend.strategies.auto_phases import is_cold
from ml_backend.strategies.auto_picks import SPACED, apart, cold, with_model
from ml_backend.strategies.auto_sets import auto_of_sets
from ml_backend.strategies.base import Strategy, needs
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Picks
from ml_backend.strategies.rivals import rivals
from ml_backend.strategies.telling import between

ALONE: Final = 16
"""First picks of a batch, each of which knows of all before it; then as many at a time as there are already."""
FAR: Final = "hardly reached by any label so far: perhaps of a class, or a kind, that has none"


def auto(graph: Neighbourhood, count: int, rng: np.random.Generator, *, spaced: int = SPACED) -> Picks:
    """The next ``count`` open items: `typiclust` on the graph's coordinates, then by `Choices.utility`.

    Args:
        graph: open and labelled items, and what a model says of them.
        count: B.
        rng: of the clusters.
        spaced: picks in a row of which no two are neighbours, as far as there are others.
    """
    count = min(count, len(graph.open))
    if is_cold(len(graph.labelled), different_answers(graph.targets), graph.classes):
        return cold(graph, count, rng)
    answers = Choices(graph)
    left = np.ones(len(graph.open), dtype=np.bool_)
    order: list[int] = []
    reasons: dict[int, str] = {}
    while len(order) < count:
        beliefs = answers.probabilities()
        both = with_model(beliefs, graph)
        alone, searching = len(order) < ALONE, answers.searching
        value = answers.utility(both) if alone else between(both, graph.weights)
        picked = apart(
            np.where(left, value[graph.open], -1.0),
            graph,
            1 if alone else min(len(order), count - len(order)),
            after=answers.last(spaced),
        )
        order += picked
        left[picked] = False
        nodes = graph.open[picked]
        for item, node in zip(picked, nodes, strict=True):
            said = None if graph.model is None else graph.model[item]
            reasons[item] = FAR if alone and searching else rivals(beliefs[node], said)
        answers.add(nodes, answers.likeliest(beliefs[nodes]))
    return Picks.by_place(order, reasons)


def _auto(inputs: StrategyInputs, count: int) -> Picks:
    if inputs.neighbourhood is None:
        raise AcquisitionError("auto needs a neighbour graph of the items.")
    choose = auto_of_sets if inputs.several else auto
    return choose(inputs.neighbourhood, count, inputs.rng(8))


def _nodes(inputs: StrategyInputs) -> NDArray[np.floating]:
    """The node of each item, which copies share ``[N, 1]``."""
    if inputs.neighbourhood is None:
        raise AcquisitionError("auto needs a neighbour graph of the items.")
    return inputs.neighbourhood.open[:, None].astype(np.float64)


AUTO: Final = Strategy(
    "typical items of each group of similar ones first, then items between two classes that many others are like; the "
    "default",
    "`m · S S m`, `m = 1 - (p₁ - p₂)`, p spread over the graph S, averaged with the model's",
    "Zhou et al. 2004; Hacohen, Dekel & Weinshall 2022",
    "O(N k C) a pick, beside the graph",
    needs("neighbourhood", "labelled"),
    pick=_auto,
    copies=_nodes,
    caveat="an item that is like no other is asked late: add a small part of `novelty` or `k_center`",
)
