"""Training a network by batches: what a model asks for, and the loop that does it, looked at along the way.

Axes: ``N`` items, ``C`` classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.errors import ModelError
from ml_backend.models.base import LabeledItems, ValidationCurve
from ml_backend.models.checks import check_training_data
from ml_backend.models.layers import HeadedNetwork
from ml_backend.models.optimizers import Optimizer
from ml_backend.records import Progress

Network = TypeVar("Network", bound=HeadedNetwork)

LOOKS = 20
"""Epochs of a training at which its validation loss is taken."""
MAX_CLASS_WEIGHT = 10.0
"""How much more one example of the rarest class may count. Above ~19 the smoothed targets of a common class would
already favour the rare one, and everything would be called positive."""


@dataclass(frozen=True)
class Plan(Generic[Network]):
    """One training of a network, as its model wants it."""

    network: Network
    optimizer: Optimizer
    batch: int
    """Items in a batch."""
    steps: int
    loss: Callable[[Tensor], Tensor]
    """Of the items at some indices, with dropout and distortion."""
    held_out_loss: Callable[[Sequence[Any], Tensor], Callable[[], Tensor]]
    """Items never trained on, their targets → their mean loss by the network as it is; features are computed once."""
    most_held_out: int
    """Held-out items that are looked at, at most: looking should cost little beside the training."""
    used: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters that the model chose itself."""


@dataclass(frozen=True)
class Watch:
    """Held-out items that a training is looked at with. It takes no random number and changes no weight."""

    network: nn.Module
    items: int
    loss: Callable[[], Tensor]
    """Mean loss of the items by the network as it is."""

    def look(self) -> float:
        """The loss in evaluation mode; training mode is restored."""
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            value = self.loss().item()
        self.network.train(was_training)
        return value


def watch(
    model: str, plan: Plan[Network], validation: LabeledItems | None, labels: Sequence[str], *, multiple: bool = False
) -> Watch | None:
    """What looks at a training with the validation items; None where there are none.

    Raises:
        ModelError: lengths differ, or a target outside the labels.
    """
    seen = held_out(model, validation, labels, plan.most_held_out, multiple=multiple)
    if seen is None:
        return None
    return Watch(plan.network, len(seen[1]), plan.held_out_loss(*seen))


def held_out(
    model: str, validation: LabeledItems | None, labels: Sequence[str], most: int, *, multiple: bool = False
) -> tuple[list[Any], Tensor] | None:
    """At most ``most`` validation items and their targets, each class by its share; None where there are none.

    Raises:
        ModelError: lengths differ, or a target outside the labels.
    """
    if validation is None or not len(validation.items) or most < 1:
        return None
    targets = check_training_data(model, validation.items, validation.targets, labels, multiple=multiple)
    by_class = np.arange(len(targets)) if multiple else np.argsort(targets, kind="stable")
    count = min(most, len(by_class))
    picked = by_class[np.arange(count) * len(by_class) // count]
    return [validation.items[i] for i in picked], torch.from_numpy(targets[picked])


def minimise(
    model: str,
    plan: Plan[Network],
    examples: int,
    *,
    generator: torch.Generator,
    progress: Progress,
    watch: Watch | None = None,
) -> tuple[tuple[float, ...], ValidationCurve | None]:
    """Train for ``plan.steps`` batches on a one-cycle schedule; the mean loss of each epoch, and the validation loss.

    ``watch`` looks at `LOOKS` epochs at most.

    Raises:
        ModelError: the loss became NaN or infinite.
    """
    rates = [group["lr"] for group in plan.optimizer.param_groups]
    losses: list[float] = []
    per_epoch = math.ceil(examples / plan.batch)
    looks: dict[int, float] = {}
    due = looked_at(math.ceil(plan.steps / per_epoch)) if watch is not None else frozenset()
    for step, picked in enumerate(batches(examples, plan.batch, plan.steps, generator), start=1):
        for group, rate in zip(plan.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * one_cycle(step - 1, plan.steps)
        losses.append(_step(plan, picked))
        check_loss(model, losses[-1], step)
        if watch is not None and (step == plan.steps or step % per_epoch == 0):
            epoch = math.ceil(step / per_epoch)
            if epoch in due:
                looks[epoch] = watch.look()
        progress(step, plan.steps)
    curve = ValidationCurve(watch.items, tuple(looks), tuple(looks.values())) if watch is not None else None
    return epoch_means(losses, per_epoch), curve


def _step(plan: Plan[Network], picked: Tensor) -> float:
    """Move the weights once; the loss of the batch before."""
    loss = plan.loss(picked)
    plan.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    plan.optimizer.step()
    return loss.item()


def batches(count: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """``steps`` batches of exactly ``size`` indices below ``count``, cut from one permutation after another.

    Every index comes up equally often, and never is a batch a rest of one item (batch norm would learn noise from it).
    """
    stream = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(stream) < size:
            stream = torch.cat([stream, torch.randperm(count, generator=generator)])
        yield stream[:size]
        stream = stream[size:]


def one_cycle(step: int, steps: int) -> float:
    """Share of the learning rate at ``step``: up over the first fifth, then down along a cosine.

    Source: Smith & Topin 2017, https://arxiv.org/abs/1708.07120.
    """
    done = (step + 1) / steps
    return done / 0.2 if done < 0.2 else 0.5 * (1 + math.cos(math.pi * (done - 0.2) / 0.8))


def check_loss(model: str, loss: float, step: int) -> None:
    """Stop a training run that has diverged.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise ModelError(f"{model}: the training loss became {loss} at step {step}; try a lower learning_rate")


def looked_at(epochs: int) -> frozenset[int]:
    """`LOOKS` of the epochs from 1 on, evenly apart, the first and the last among them; all where they are few."""
    return frozenset(np.linspace(1, epochs, min(LOOKS, epochs)).round().astype(int).tolist())


def epoch_means(losses: Sequence[float], steps_per_epoch: int) -> tuple[float, ...]:
    """Mean loss of each run of ``steps_per_epoch`` steps; the last may be shorter."""
    starts = range(0, len(losses), steps_per_epoch)
    return tuple(float(np.mean(losses[start : start + steps_per_epoch])) for start in starts)


def loss_of(*, multiple: bool, smoothing: float, weights: Tensor | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean loss of logits ``[N, C]`` against targets: cross-entropy, or of sets that of each class, added up.

    Args:
        multiple: targets are sets ``[N, C]``.
        smoothing: share of a target that goes to what it is not (Szegedy et al. 2016).
        weights: of the classes ``[C]``; of sets, of being in them.
    """

    def one(logits: Tensor, y: Tensor) -> Tensor:
        # torch smooths towards the class weights: an example of a common class leaves room for the rare ones.
        return functional.cross_entropy(logits, y, weight=weights, label_smoothing=smoothing)

    def several(logits: Tensor, y: Tensor) -> Tensor:
        smooth = y * (1 - smoothing) + smoothing / 2
        each = functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights, reduction="none")
        return each.sum(dim=1).mean()

    return several if multiple else one


def set_weights(targets: Tensor) -> Tensor:
    """How much more an item counts that has a class than one that has not ``[C]``: the root of what there are fewer.

    ``√(items without / items with)``, from 1 to ``√MAX_CLASS_WEIGHT``. As many as there are of each side, the weight of
    `class_weights`, would call a class of three in a hundred far too often.
    """
    count = targets.sum(dim=0)
    ratio = (len(targets) - count) / count.clamp(min=1)
    return torch.where(count > 0, ratio, 1.0).clamp(1.0, MAX_CLASS_WEIGHT).sqrt()


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Count of the most common class / own count, at most ``MAX_CLASS_WEIGHT``; 1 for a class without examples."""
    counts = targets.sum(dim=0) if targets.ndim == 2 else torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, counts.max() / counts.clamp(min=1), 1.0).clamp(max=MAX_CLASS_WEIGHT)
