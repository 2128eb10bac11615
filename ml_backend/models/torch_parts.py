"""What the torch models share: input checks, seeded layers that leave global randomness alone, dropout heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.errors import ModelError
from ml_backend.models import checks
from ml_backend.models.base import LabeledItems, ValidationCurve
from ml_backend.records import Progress

Network = TypeVar("Network", bound=nn.Module)

LOOKS = 20
"""Epochs of a training at which its validation loss is taken."""

HEAD_BLOCK = 1_000
"""Items in the head at a time: bounds its memory, whatever the size of the pool."""


def check_loss(model: str, loss: float, step: int) -> None:
    """Stop a training run that has diverged.

    Raises:
        ModelError: the loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise ModelError(f"{model}: the training loss became {loss} at step {step}; try a lower learning_rate")


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


def held_out(
    model: str, validation: LabeledItems | None, labels: Sequence[str], most: int
) -> tuple[list[Any], Tensor] | None:
    """At most ``most`` validation items and their targets, each class by its share; None where there are none.

    Raises:
        ModelError: lengths differ, or a target outside the labels.
    """
    if validation is None or not len(validation.items) or most < 1:
        return None
    targets = checks.check_training_data(model, validation.items, validation.targets, labels)
    by_class = np.argsort(targets, kind="stable")
    count = min(most, len(by_class))
    picked = by_class[np.arange(count) * len(by_class) // count]
    return [validation.items[i] for i in picked], torch.from_numpy(targets[picked])


def minimise(
    model: str,
    loss_of: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    examples: int,
    batch: int,
    steps: int,
    generator: torch.Generator,
    progress: Progress,
    watch: Watch | None = None,
) -> tuple[tuple[float, ...], ValidationCurve | None]:
    """Train for ``steps`` batches on a one-cycle schedule; the mean loss of each epoch, and the validation loss.

    ``loss_of`` gives the loss of a batch of indices below ``examples``; ``watch`` looks at `LOOKS` epochs at most.

    Raises:
        ModelError: the loss became NaN or infinite.
    """
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: one_cycle(step, steps))
    losses: list[float] = []
    per_epoch = math.ceil(examples / batch)
    looks: dict[int, float] = {}
    due = looked_at(math.ceil(steps / per_epoch)) if watch is not None else frozenset()
    for step, picked in enumerate(batches(examples, batch, steps, generator)):
        loss = loss_of(picked)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        check_loss(model, losses[-1], step + 1)
        if watch is not None and (step + 1 == steps or (step + 1) % per_epoch == 0):
            epoch = math.ceil((step + 1) / per_epoch)
            if epoch in due:
                looks[epoch] = watch.look()
        progress(step + 1, steps)
    curve = ValidationCurve(watch.items, tuple(looks), tuple(looks.values())) if watch is not None else None
    return epoch_means(losses, per_epoch), curve


def looked_at(epochs: int) -> frozenset[int]:
    """`LOOKS` of the epochs from 1 on, evenly apart, the first and the last among them; all where they are few."""
    return frozenset(np.linspace(1, epochs, min(LOOKS, epochs)).round().astype(int).tolist())


def epoch_means(losses: Sequence[float], steps_per_epoch: int) -> tuple[float, ...]:
    """Mean loss of each run of ``steps_per_epoch`` steps; the last may be shorter."""
    starts = range(0, len(losses), steps_per_epoch)
    return tuple(float(np.mean(losses[start : start + steps_per_epoch])) for start in starts)


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Fill a module that was built on the ``meta`` device (which draws no random numbers), from ``generator`` alone.

    Convolutions and linear layers: He et al. 2015 (https://arxiv.org/abs/1502.01852); normalisation layers: identity;
    embeddings: zero, so that a feature never trained on adds nothing.
    """
    module.to_empty(device="cpu")
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()  # ones and zeros: nothing random
        elif isinstance(layer, nn.EmbeddingBag):
            nn.init.zeros_(layer.weight)


def dropout(features: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Inverted dropout with its own generator, on the CPU, so that every device leaves out the same ones.

    ``F.dropout`` would draw from the global one.
    """
    keep = torch.rand(features.shape, generator=generator).to(features.device) >= rate
    return features * keep / (1 - rate)


def scale_head(head: nn.Linear, factor: float) -> None:
    """Multiply the logits of a linear head."""
    with torch.no_grad():
        head.weight.mul_(factor)
        head.bias.mul_(factor)


def head_probabilities(
    features: NDArray[np.float32], head: nn.Linear, rate: float, samples: int, seed: int
) -> NDArray[np.float32]:
    """Class probabilities ``[N, K, C]`` of K dropout samples of a linear head over ``features [N, D]``.

    A pass is one sampled network: its mask is the same for all items (consistent Monte-Carlo dropout; Kirsch,
    van Amersfoort & Gal 2019, https://arxiv.org/abs/1906.08158, section 3.2). Joint scores such as BatchBALD and EPIG
    need that; it also makes an item's probabilities independent of its neighbours, and K passes one matrix product.

    In memory the items come last: softmax and entropies then run along whole rows, five times faster than over rows of
    ten classes.
    """
    classes, dims = head.weight.shape
    weight, bias = head.weight[:, None, :], head.bias.repeat_interleave(samples)
    if samples > 1:
        generator = torch.Generator().manual_seed(seed)
        masks = dropout(torch.ones(samples, 1, dims), rate, generator)  # [K, 1, D]
        weight = weight * masks[:, 0]  # [C, K, D]
    device = hardware.device()
    heads, bias = weight.reshape(classes * samples, dims).to(device), bias.to(device)
    out = np.empty((classes, samples, len(features)), dtype=np.float32)
    for start in range(0, len(features), HEAD_BLOCK):
        block = torch.from_numpy(features[start : start + HEAD_BLOCK]).to(device)
        logits = torch.addmm(bias[:, None], heads, block.T).reshape(classes, samples, len(block))
        out[:, :, start : start + HEAD_BLOCK] = F.softmax(logits, dim=0).cpu().numpy()
    return out.transpose(2, 1, 0)


def load_weights(model: str, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put stored weights into ``module`` and leave it in evaluation mode.

    Raises:
        ModelError: names or shapes do not fit.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != stored:
        wrong = sorted({name for name, _ in expected.items() ^ stored.items()})
        raise ModelError(
            f"{model}: stored weights do not fit the labels and configuration ({', '.join(wrong)}); train again"
        )
    module.to_empty(device="cpu")
    module.load_state_dict({name: value.clone() for name, value in weights.items()})
    module.eval()


def stored_number(model: str, config: Mapping[str, Any], key: str) -> float:
    """One number of a stored configuration.

    Raises:
        ModelError: it is missing or no number.
    """
    try:
        return float(config[key])
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"{model}: the stored configuration has no number {key!r}; train again") from exc


def fitted(model: str, network: Network | None) -> Network:
    """The network, if there is one.

    Raises:
        ModelError: the model was neither trained nor loaded.
    """
    if network is None:
        raise ModelError(f"{model} was neither trained nor loaded; call fit or from_state first")
    return network
