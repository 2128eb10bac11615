"""Optimizers without torch's classes: these import torch's compiler at the first of them, two seconds of every process.

The steps are torch's own functions, which the classes call too: the weights are the same to the last bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

MOMENTUM: Final = 0.9
BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8


class Optimizer(Protocol):
    """What a training needs of an optimizer; those of ``torch.optim`` have it too."""

    param_groups: list[dict[str, Any]]
    """Each with its ``lr``, which a training changes from step to step."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def step(self) -> Any:
        """Move the weights once, against their gradients."""


class _Groups(ABC):
    """Weights in groups of one learning rate and one decay, and what is remembered of each from step to step."""

    def __init__(self, groups: Iterable[tuple[Sequence[Tensor], float]], rate: float) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {"params": list(weights), "weight_decay": decay, "lr": rate} for weights, decay in groups
        ]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                if set_to_none:
                    weight.grad = None
                elif weight.grad is not None:
                    weight.grad.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._move(weights, [weight.grad for weight in weights], group)

    @abstractmethod
    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None: ...


class Momentum(_Groups):
    """Gradient descent with Nesterov's momentum, 0.9 of the step before (Sutskever et al. 2013).

    Args:
        groups: weights, and how much they decay in a step, as a share of the learning rate.
        rate: the learning rate.
    """

    def __init__(self, groups: Iterable[tuple[Sequence[Tensor], float]], rate: float) -> None:
        super().__init__(groups, rate)
        self._before: dict[Tensor, Tensor | None] = {}

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        before = [self._before.get(weight) for weight in weights]
        sgd(
            weights,
            gradients,
            before,
            weight_decay=group["weight_decay"],
            momentum=MOMENTUM,
            lr=group["lr"],
            dampening=0.0,
            nesterov=True,
            maximize=False,
        )
        self._before.update(zip(weights, before, strict=True))


class AdamW(_Groups):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101), in one kernel.

    Args:
        weights: all that is trained.
        rate: the learning rate.
        decay: how much weights decay in a step, as a share of the learning rate.
    """

    def __init__(self, weights: Iterable[Tensor], rate: float, *, decay: float) -> None:
        super().__init__([(list(weights), decay)], rate)
        self._moments: dict[Tensor, tuple[Tensor, Tensor, Tensor]] = {}

    def _move(self, weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if weight not in self._moments:
                first, second = (torch.zeros_like(weight, memory_format=torch.preserve_format) for _ in range(2))
                self._moments[weight] = first, second, torch.zeros((), device=weight.device)
        moments = [self._moments[weight] for weight in weights]
        adamw(
            weights,
            gradients,
            [first for first, _, _ in moments],
            [second for _, second, _ in moments],
            [],
            [steps for _, _, steps in moments],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=EPSILON,
            maximize=False,
        )
