"""Layers of the networks: seeded, so that global randomness is left alone, and a linear head with dropout before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.errors import ModelError

HEAD_BLOCK = 1_000
"""Items in the head at a time: bounds its memory, whatever the size of the pool."""


class HeadedNetwork(nn.Module):
    """A network that ends in ``head``, a linear layer over its last hidden activations."""

    head: nn.Linear


class EncodedNetwork(HeadedNetwork):
    """A head over the vectors of a pretrained encoder, which is not trained."""

    def __init__(self, encoder: str, dimensions: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(dimensions, classes)

    @classmethod
    def zeros(cls, encoder: str, dimensions: int, classes: int) -> Self:
        """All weights 0: its problem is convex, so nothing is gained by a random start."""
        with torch.device("meta"):
            network = cls(encoder, dimensions, classes)
        materialise(network)
        nn.init.zeros_(network.head.weight)
        nn.init.zeros_(network.head.bias)
        return network


class CentredNetwork(EncodedNetwork):
    """A head over vectors from which a ``mean`` is taken away."""

    mean: Tensor

    def __init__(self, encoder: str, dimensions: int, classes: int) -> None:
        super().__init__(encoder, dimensions, classes)
        self.register_buffer("mean", torch.zeros(dimensions))


def materialise(module: nn.Module) -> None:
    """Give a module that was built on the ``meta`` device weights and buffers on the CPU, of any values.

    As its ``to_empty``, for which torch imports sympy first.
    """
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            empty = torch.empty(weight.shape, dtype=weight.dtype)
            setattr(part, name, nn.Parameter(empty, requires_grad=weight.requires_grad))
        for name, value in list(part.named_buffers(recurse=False)):
            setattr(part, name, torch.empty(value.shape, dtype=value.dtype))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Fill a module that was built on the ``meta`` device (which draws no random numbers), from ``generator`` alone.

    Convolutions and linear layers: He et al. 2015 (https://arxiv.org/abs/1502.01852); normalisation layers: identity;
    embeddings: zero, so that a feature never trained on adds nothing.
    """
    materialise(module)
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
    features: NDArray[np.float32], head: nn.Linear, rate: float, samples: int, seed: int, *, multiple: bool = False
) -> NDArray[np.float32]:
    """Class probabilities ``[N, K, C]`` of K dropout samples of a linear head over ``features [N, D]``.

    ``multiple``: each class by itself, by a sigmoid.

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
        rows = torch.sigmoid(logits) if multiple else F.softmax(logits, dim=0)
        out[:, :, start : start + HEAD_BLOCK] = rows.cpu().numpy()
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
    materialise(module)
    module.load_state_dict({name: value.clone() for name, value in weights.items()})
    module.eval()
