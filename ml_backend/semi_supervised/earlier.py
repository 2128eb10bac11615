"""The version before, and when a training may go on from its weights: the same rule in rounds and simulations.

Going on takes a fraction of the steps. It is only for a model much like the one that is wanted, and not for ever: what
it once learnt wrongly it unlearns slowly (Ash & Adams 2020, https://arxiv.org/abs/1910.08475, on data that keep
coming), so that every few versions one begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import Model
from ml_backend.models.checks import resolve_hyperparameters
from ml_backend.models.several import class_counts

RESIZED: Final = 1.25
"""Growth of the pool, or shrinking, up to which it is taken for the same one. It shrinks by a few tasks in nearly every
round: answers to control tasks, by which the model is measured, are not learnt from."""


@dataclass(frozen=True)
class Earlier:
    """A version trained on the same question with the same settings."""

    model: Callable[[], Model | None]
    """Loads it; None where it is damaged."""
    learnt_from: str
    """``pool``, or ``labels``."""
    counts: NDArray[np.int64]
    """Labels of each class that it was trained with ``[C]``."""
    items: int
    """Of the pool that it was trained on."""
    in_a_row: int = 0
    """Trainings since the last from scratch: 0 where it was one."""

    def start(self, most: int, targets: NDArray[np.int64], items: int) -> Model | None:
        """The model to go on from; None where a training should begin anew.

        Labels have only been added, to classes that had some: where one was taken back, or a class has its first, the
        version before believes what is no longer said.

        Args:
            most: trainings in a row that may go on, `goes_on`.
            targets: classes of the labels that there are now ``[L]``, or their sets ``[L, C]``.
            items: of the pool now.
        """
        counts = class_counts(targets, len(self.counts))
        added = (counts >= self.counts).all() and ((counts > 0) == (self.counts > 0)).all()
        alike = self.learnt_from == "pool" and self.items <= RESIZED * items and items <= RESIZED * self.items
        return self.model() if self.in_a_row < most and added and alike else None


def goes_on(model: Model, hyperparameters: Mapping[str, Any] | None) -> int:
    """How many trainings of a model in a row may go on from the one before; 0 where it cannot.

    Raises:
        ModelError: a hyperparameter is wrong.
    """
    if "warm_starts" not in model.hyperparameters():
        return 0
    return int(resolve_hyperparameters(model.name, model.hyperparameters(), hyperparameters)["warm_starts"])
