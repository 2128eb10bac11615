"""What the labels so far say about every item of a graph, and what the next one would tell.

Axes: ``N`` items of the graph, ``L`` labels, ``C`` classes, ``M`` columns of what labels send.

Labels are spread over the graph one by one, and add up. What a kind of answer is, one choice or a set, shows in four
things alone: what a label sends, which probabilities are made of what arrives, which answer is the likeliest, and how
much one would tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.several import HALF, are_sets, different_answers
from ml_backend.semi_supervised.graph import (
    Floats,
    Neighbourhood,
    Positions,
    label_probabilities,
    label_sources,
    spread,
)
from ml_backend.semi_supervised.set_spreading import set_probabilities, set_sources
from ml_backend.strategies.auto_phases import searches
from ml_backend.strategies.telling import between, in_doubt, unreached

Target = int | NDArray[np.int64]
"""What one answer is: a class, or which classes a set has ``[C]``."""
BINDING: Final = 16.0
"""Power of beliefs about sets before they are bound to the classes' rates: what arrives over the graph hardly differs
between items, and all would be in doubt alike."""


class Answers(ABC):
    """The labels of one graph; each further one is added in milliseconds."""

    def __init__(self, graph: Neighbourhood) -> None:
        self._graph = graph
        self._nodes, self._targets = graph.labelled, graph.targets
        self._mass = spread(graph.weights, graph.labelled, self._sources(graph.targets))

    def add(self, nodes: Positions, targets: Positions) -> None:
        """Take further labels into account, of nodes ``[L]``: their classes ``[L]``, or sets ``[L, C]``."""
        sources = self._sources(targets)
        columns = np.flatnonzero(sources.any(axis=0))
        self._mass[:, columns] += spread(self._graph.weights, nodes, sources[:, columns])
        self._nodes = np.concatenate([self._nodes, nodes])
        self._targets = np.concatenate([self._targets, targets])

    def copy(self) -> Self:
        """The same, to try out what a further label would change."""
        other = copy(self)
        other._mass = self._mass.copy()
        return other

    @property
    def nodes(self) -> Positions:
        """Labelled nodes."""
        return self._nodes

    def last(self, count: int) -> list[int]:
        """The nodes that were added last, at most ``count``; none of those that the graph came with."""
        added: list[int] = self._nodes[len(self._graph.labelled) :].tolist()
        return added[max(0, len(added) - count) :]

    @abstractmethod
    def takes(self, target: Target) -> bool:
        """Whether an answer is of this kind, and of these classes."""

    @abstractmethod
    def _sources(self, targets: Positions) -> Floats:
        """What labels send ``[L, M]``."""

    @abstractmethod
    def probabilities(self) -> Floats:
        """Of every node ``[N, C]``."""

    @abstractmethod
    def likeliest(self, beliefs: Floats) -> Positions:
        """The likeliest answers by beliefs ``[L, C]``: classes ``[L]``, or sets ``[L, C]``."""

    @abstractmethod
    def utility(self, beliefs: Floats) -> Floats:
        """How much the label of each node would tell by beliefs ``[N, C]`` ``[N]``."""


class Choices(Answers):
    """Answers of one choice each."""

    def takes(self, target: Target) -> bool:
        """Whether it is one of the classes."""
        return np.ndim(target) == 0 and 0 <= int(target) < self._graph.classes

    def _sources(self, targets: Positions) -> Floats:
        return label_sources(targets, self._graph.classes)

    def probabilities(self) -> Floats:
        """`graph.label_probabilities` ``[N, C]``."""
        return label_probabilities(self._mass, self._nodes, self._targets, self._graph.prior)

    def likeliest(self, beliefs: Floats) -> Positions:
        """The likeliest classes ``[L]``."""
        return np.asarray(beliefs.argmax(axis=1), dtype=np.int64)

    @property
    def searching(self) -> bool:
        """Whether the next item is to find what has no label yet, see `searches`."""
        return searches(len(self._targets), different_answers(self._targets), self._graph.classes)

    def utility(self, beliefs: Floats) -> Floats:
        """`unreached` while `searching`, else `between` ``[N]``."""
        if not self.searching:
            return between(beliefs, self._graph.weights)
        return unreached(self._mass, self._graph.weights)


class Sets(Answers):
    """Answers that are sets of classes, the empty one among them."""

    def takes(self, target: Target) -> bool:
        """Whether it says of each class whether the set has it."""
        given: NDArray[Any] = np.asarray(target)
        return given.shape == (self._graph.classes,) and bool(np.isin(given, (0, 1)).all())

    def _sources(self, targets: Positions) -> Floats:
        return set_sources(targets)

    def probabilities(self) -> Floats:
        """`set_spreading.set_probabilities`, bound to the rates at the power `BINDING` ``[N, C]``."""
        return set_probabilities(self._mass, self._nodes, self._targets, self._graph.prior, BINDING)

    def likeliest(self, beliefs: Floats) -> Positions:
        """The sets of the classes that are likelier than not ``[L, C]``."""
        return (beliefs >= HALF).astype(np.int64)

    def utility(self, beliefs: Floats) -> Floats:
        """`in_doubt` ``[N]``."""
        return in_doubt(beliefs, self._graph.weights, self._graph.over_classes)


def answers_to(graph: Neighbourhood) -> Answers:
    """The labels that a graph comes with, by what kind they are of."""
    return Sets(graph) if are_sets(graph.targets) else Choices(graph)
