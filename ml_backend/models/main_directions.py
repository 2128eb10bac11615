"""The few directions in which many features spread furthest: what a penalised classifier goes by, most of all.

Axes: ``N`` items, ``D`` features, ``M`` directions, ``C`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml_backend import hardware

SPARE: Final = 32
"""Directions that are looked for beside those that are wanted."""
TURNS: Final = 2
"""Times that what was found is turned towards where the items spread."""
LEAST_BEND: Final = 1e-4
"""Of the largest: where a loss bends less, or not at all, steps grow no longer."""
SEED: Final = 0
"""Of what is drawn: the same items give the same directions."""


@hardware.threads()
def main_directions(x: Tensor, most: int) -> Tensor:
    """About the ``most`` directions in which items ``[N, D]`` spread furthest, at right angles ``[D, M]``.

    By random projection and subspace iteration (Halko, Martinsson & Tropp 2011, https://arxiv.org/abs/0909.4061): to
    find them exactly takes four times as long, of 2,560 features, and keeps half a hundredth more of the items' squared
    lengths. Of few features exactly; there are as many directions then as features, at the most.
    """
    features = x.shape[1]
    if features <= most + SPARE:
        found = torch.eye(features)
    else:
        found = torch.randn(features, most + SPARE, generator=torch.Generator().manual_seed(SEED))
        for _ in range(TURNS):
            found, _ = torch.linalg.qr(x.T @ (x @ found))
    along = x @ found
    _, turned = torch.linalg.eigh(along.T @ along)
    directions: Tensor = found @ turned[:, -most:]
    return directions


@dataclass(frozen=True)
class Near:
    """What is known of an optimum by a problem much like its own, such as that of a part of the items."""

    solution: NDArray[np.float64]
    """Weights, and biases as the last column, of about that size ``[C, D + 1]``."""
    directions: Tensor
    """`main_directions` of about these items ``[D, M]``."""
    spread: Tensor
    """Mean square of the items along each ``[M]``."""
    curvature: float
    """Mean of ``p (1 - p)`` over items and classes at the solution: how much the loss bends where an item lies."""

    def stretched(self, shrink: float) -> Stretch:
        """Coordinates in which a loss with ``shrink / 2 |W|²`` in it bends about alike in all directions."""
        # All other directions: the items spread less there than along the least of these.
        spread = torch.hstack([self.spread, self.spread.min() / 2, torch.ones(1)])
        bends = self.curvature * spread + shrink
        steps = bends.clamp_min(LEAST_BEND * float(bends.max())) ** -0.5
        return Stretch(self.directions, steps[:-2], float(steps[-2]), float(steps[-1]))


def near(solution: NDArray[np.float64], along: Tensor, directions: Tensor, *, sets: bool) -> Near:
    """What the solution of a problem tells of another much like it.

    Args:
        solution: of the items along the directions ``[C, M + 1]``.
        along: these items ``[N, M]``.
        directions: `main_directions` ``[D, M]``.
        sets: whether each class is asked for by itself.
    """
    both = torch.from_numpy(solution.astype(np.float32))
    logits = torch.addmm(both[:, -1], along, both[:, :-1].T)
    p = torch.sigmoid(logits) if sets else torch.softmax(logits, dim=1)
    weights = (both[:, :-1] @ directions.T).numpy()
    found = np.hstack([weights, solution[:, -1:]])
    return Near(found, directions, along.square().mean(dim=0), float((p * (1 - p)).mean()))


@dataclass(frozen=True)
class Stretch:
    """Weights ``W = U (r + V (s - r) V')``, bias ``b = t u``: how far a step goes along each direction ``V``."""

    directions: Tensor
    along: Tensor
    """``s [M]``."""
    beside: float
    """``r``, of all that is at right angles to them."""
    bias: float
    """``t``."""

    def __call__(self, both: Tensor) -> Tensor:
        """Weights and biases of stretched coordinates ``[C, D + 1]``; and of a slope by them the slope by these."""
        return self._by(both, self.along, self.beside, self.bias)

    def undone(self, both: Tensor) -> Tensor:
        """The coordinates of weights and biases ``[C, D + 1]``."""
        return self._by(both, 1 / self.along, 1 / self.beside, 1 / self.bias)

    def _by(self, both: Tensor, along: Tensor, beside: float, bias: float) -> Tensor:
        weights = both[:, :-1]
        turned = ((weights @ self.directions) * (along - beside)) @ self.directions.T
        return torch.hstack([beside * weights + turned, bias * both[:, -1:]])
