"""Strategies where an answer is a set of classes: each class is a question of yes and no, asked of the strategy alone.

Axes: ``N`` items, ``K`` passes, ``C`` classes.

A strategy of one choice reads rows that sum to 1. Here a row says of each class by itself how likely it is in the set.
So an item's score is the mean, or the largest, of the scores that the strategy gives to ``(1 - p_c, p_c)``, class by
class: the mean of the binary entropies, of the binary margins, of the mutual information about each class (BALD, EPIG)
and so on. A largest one asks for items with one class in doubt, however sure all others are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from ml_backend.errors import AcquisitionError
from ml_backend.strategies.base import Strategy, probabilities_of
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Floats

OverClasses = Literal["mean", "largest"]
OVER_CLASSES: Final[tuple[OverClasses, ...]] = ("mean", "largest")


def scored(strategy: Strategy, inputs: StrategyInputs) -> Floats:
    """The strategy's own scores ``[N]``; of sets over the classes, where it reads probabilities and knows no sets."""
    if strategy.score is None:
        raise AcquisitionError("A strategy without a score chooses whole batches.")
    if not inputs.several or strategy.takes_several or "probabilities" not in strategy.needs:
        return strategy.score(inputs)
    return over_classes(strategy.score, inputs)


def over_classes(score: Callable[[StrategyInputs], Floats], inputs: StrategyInputs) -> Floats:
    """Scores of each class's ``(1 - p, p) [N, K, 2]``, their mean or the largest ``[N]``."""
    probabilities = probabilities_of(inputs)
    classes = probabilities.shape[2]
    found: Floats = np.zeros(len(inputs))
    for c in range(classes):
        yes = probabilities[:, :, c]
        asked = replace(inputs, probabilities=np.stack([1 - yes, yes], axis=2), classes=2, several=False)
        value = score(asked)
        found = np.maximum(found, value) if inputs.over_classes == "largest" else found + value / classes
    return found


def check_takes_sets(name: str, strategy: Strategy) -> None:
    """See to it that a strategy has a meaning where answers are sets.

    Raises:
        AcquisitionError: it compares the probabilities of a whole pool, and knows no sets.
    """
    if strategy.pick is not None and "probabilities" in strategy.needs and not strategy.takes_several:
        raise AcquisitionError(
            f"Strategy {name!r} is made for one choice per answer, and this project takes several: choose auto, "
            "entropy, bald, badge or another one of this package."
        )
