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

from copy import copy
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.models.several import different_answers
from ml_backend.semi_supervised.graph import (
    Floats,
    Neighbourhood,
    Positions,
    label_mass,
    label_probabilities,
    propagate,
)
from ml_backend.strategies.auto_phases import is_cold, searches
from ml_backend.strategies.auto_picks import SPACED, apart, cold, with_model, with_neighbours
from ml_backend.strategies.auto_sets import auto_of_sets
from ml_backend.strategies.base import Strategy, needs
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Picks
from ml_backend.strategies.rivals import rivals

if TYPE_CHECKING:
    from scipy import sparse

ALONE: Final = 16
"""First picks of a batch, each of which knows of all before it; then as many at a time as there are already."""
FAR: Final = "hardly reached by any label so far: perhaps of a class, or a kind, that has none"


class Answers:
    """What the labels so far say about every item; each further one is added in milliseconds."""

    def __init__(self, graph: Neighbourhood) -> None:
        self._graph = graph
        self._labelled, self._targets = graph.labelled.tolist(), graph.targets.tolist()
        self._mass = label_mass(graph.weights, graph.labelled, graph.targets, graph.classes)

    def add(self, nodes: Positions, targets: Positions) -> None:
        """Take further labels into account."""
        classes, column = np.unique(targets, return_inverse=True)
        sources = np.zeros((self._graph.weights.shape[0], len(classes)), np.float32)
        np.add.at(sources, (nodes, column), 1.0)
        self._mass[:, classes] += propagate(self._graph.weights, sources)
        self._labelled += nodes.tolist()
        self._targets += targets.tolist()

    def copy(self) -> Self:
        """The same, to try out what a further label would change."""
        other = copy(self)
        other._labelled, other._targets = list(self._labelled), list(self._targets)
        other._mass = self._mass.copy()
        return other

    @property
    def nodes(self) -> Positions:
        """Labelled nodes."""
        return np.array(self._labelled, dtype=np.int64)

    def last(self, count: int) -> list[int]:
        """The nodes that were added last, at most ``count``; none of those that the graph came with."""
        added: list[int] = self._labelled[len(self._graph.labelled) :]
        return added[max(0, len(added) - count) :]

    def probabilities(self) -> Floats:
        """Of every node ``[N, C]``."""
        targets = np.array(self._targets, dtype=np.int64)
        return label_probabilities(self._mass, self.nodes, targets, self._graph.prior)

    @property
    def searching(self) -> bool:
        """Whether the next item is to find what has no label yet, see `searches`."""
        return searches(len(self._targets), len(set(self._targets)), self._graph.classes)

    def utility(self, beliefs: Floats) -> Floats:
        """How much the label of each node would tell: `unreached` while `searching`, else `between` ``[N]``."""
        if not self.searching:
            return between(beliefs, self._graph.weights)
        return unreached(self._mass, self._graph.weights)


def between(probabilities: Floats, weights: sparse.csr_matrix) -> Floats:
    """How much a label would tell about the nodes around ``[N]``: ``m · S S m``, ``m = 1 - (p1 - p2)``.

    The margin alone asks for outliers, whose label nobody else shares; ``S S m`` is the margin of neighbours and
    their neighbours.
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities), np.float32)
    best = np.partition(probabilities, -2, axis=1)
    return with_neighbours((1.0 - (best[:, -1] - best[:, -2])).astype(np.float32), weights)


def unreached(mass: Floats, weights: sparse.csr_matrix) -> Floats:
    """How far a node and those around it are from all labels ``[N]``: ``m · S S m``, ``m = max(0, 1 - r / median r)``.

    ``r``: what all labels together send to a node, the row's total of `graph.label_mass`, before any balancing.
    """
    reach = mass.sum(axis=1)
    middle = float(np.median(reach))
    if middle <= 0:
        return with_neighbours((reach <= 0).astype(np.float32), weights)
    return with_neighbours(np.clip(1.0 - reach / middle, 0.0, 1.0).astype(np.float32), weights)


def auto(graph: Neighbourhood, count: int, rng: np.random.Generator, *, spaced: int = SPACED) -> Picks:
    """The next ``count`` open items: `typiclust` on the graph's coordinates, then by `Answers.utility`.

    Args:
        graph: open and labelled items, and what a model says of them.
        count: B.
        rng: of the clusters.
        spaced: picks in a row of which no two are neighbours, as far as there are others.
    """
    count = min(count, len(graph.open))
    if is_cold(len(graph.labelled), different_answers(graph.targets), graph.classes):
        return cold(graph, count, rng)
    answers = Answers(graph)
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
        answers.add(nodes, beliefs[nodes].argmax(axis=1))
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
