"""Between two rounds: each new label changes at once what is asked next.

Axes: ``N`` items of the graph, ``O`` open ones, ``C`` classes, ``B`` places.

A round reads, trains and publishes, which takes a while. The graph needs no training: a new label means solving one
sparse linear system with one right-hand side, whose solution is added to that of the labels before.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.several import are_sets
from ml_backend.semi_supervised.graph import Floats, Neighbourhood, Positions
from ml_backend.strategies.answers import Target, answers_to
from ml_backend.strategies.auto_picks import apart, with_model


class InstantOrder:
    """What to ask next, with every answer so far taken into account.

    Args:
        graph: open and labelled items, at least one of them labelled, and what a model said of them.
    """

    def __init__(self, graph: Neighbourhood) -> None:
        self._graph = graph
        self._answers = answers_to(graph)
        self._open = np.ones(len(graph.open), dtype=np.bool_)
        self._beliefs: Floats | None = None

    def answer(self, item: int, target: Target) -> None:
        """Learn the label of the open item at this position: one of the ``C`` classes, or a set of them.

        Raises:
            ValueError: no such open item, no such class, or another kind of answer than the graph's.
        """
        if not 0 <= item < len(self._open) or not self._answers.takes(target):
            raise ValueError(f"No open item {item}, or no answer {target} of {self._graph.classes} classes")
        self._open[item] = False
        self._answers.add(self._graph.open[[item]], np.array([target], dtype=np.int64))
        self._beliefs = None

    @property
    def of_sets(self) -> bool:
        """Whether an answer is a set of classes."""
        return are_sets(self._graph.targets)

    def skip(self, item: int) -> None:
        """Never ask for this item: somebody has it, or skipped it."""
        self._open[item] = False

    def assuming(self, item: int) -> Self:
        """A copy that has learnt, for an open item, the label that graph and model expect."""
        other = type(self).__new__(type(self))
        other._graph, other._answers = self._graph, self._answers.copy()
        other._open, other._beliefs = self._open.copy(), None
        (expected,) = self._answers.likeliest(self._expected()[self._graph.open[[item]]])
        other.answer(item, expected if expected.ndim else int(expected))
        return other

    def front(self, count: int, among: NDArray[np.bool_] | None = None) -> Positions:
        """The next open items to ask for, most telling first; no two of them neighbours as long as there are others.

        They may be neighbours of what was just answered: after a surprise it is right to ask about its surroundings.

        Args:
            count: B.
            among: whether each open item may be asked for ``[O]``; None: all may.
        """
        may = self._open if among is None else self._open & among
        picked = apart(np.where(may, self.values(), -1.0), self._graph, count)
        return np.array(picked, dtype=np.int64)

    def values(self) -> Floats:
        """How much the label of each open item would tell, `answers.Answers.utility` ``[O]``."""
        return self._answers.utility(self._expected())[self._graph.open]

    def _expected(self) -> Floats:
        """What graph and model believe ``[N, C]``."""
        if self._beliefs is None:
            self._beliefs = with_model(self._answers.probabilities(), self._graph)
        return self._beliefs
