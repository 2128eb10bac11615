"""What a strategy is: one record beside its function.

A strategy's module is imported to list it: torch, scipy and the like are imported inside its functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.inputs import Need, StrategyInputs, require
from ml_backend.strategies.picks import Floats, Picks


@dataclass(frozen=True)
class Strategy:
    """A query strategy: exactly one of ``score`` and ``pick``."""

    when: str
    """What it asks first and when to use it, in one line."""
    equation: str
    source: str
    cost: str
    """N items, K passes, C classes, D dimensions, L labels, V evaluation items, B picks."""
    needs: frozenset[Need] = frozenset()
    """What it reads; without ``probabilities`` and ``embeddings`` it works before a first model."""
    score: Callable[[StrategyInputs], Floats] | None = None
    """Normalised scores in [0, 1] ``[N]``; the largest are asked first."""
    pick: Callable[[StrategyInputs, int], Picks] | None = None
    """A batch whose members know of each other; at most as many as asked for."""
    copies: Callable[[StrategyInputs], NDArray[np.floating]] | None = None
    """Rows that are equal for copies of an item: copies are asked after all else. Only for ``pick``."""
    itemwise: bool = False
    """Whether an item's score depends on that item alone, so that `/predict` can give it."""
    caveat: str = ""
    """Where it fails."""
    takes_several: bool = False
    """Whether it reads the probabilities of sets itself (`StrategyInputs.several`). Else one with a ``score`` is asked
    about each class (`several`), and one with a ``pick`` that reads probabilities is refused."""

    @property
    def batch_aware(self) -> bool:
        """Whether picks know of each other."""
        return self.pick is not None


def needs(*names: Need) -> frozenset[Need]:
    """What a strategy reads, for its ``needs``."""
    return frozenset(names)


def probabilities_of(inputs: StrategyInputs) -> NDArray[np.floating]:
    """``[N, K, C]``; raises AcquisitionError where ``needs`` does not name them, as all below."""
    return require(inputs.probabilities)


def embeddings_of(inputs: StrategyInputs) -> NDArray[np.floating]:
    """``[N, D]``."""
    return require(inputs.embeddings)


def labelled_of(inputs: StrategyInputs) -> NDArray[np.floating]:
    """Embeddings of the labelled items ``[L, D]``."""
    return require(inputs.labelled)


def validation_of(inputs: StrategyInputs) -> NDArray[np.floating]:
    """Embeddings of the evaluation items ``[V, D]``."""
    return require(inputs.validation)


def wrong_of(inputs: StrategyInputs) -> NDArray[np.bool_]:
    """Whether the model gets each evaluation item wrong ``[V]``."""
    return require(inputs.wrong)
