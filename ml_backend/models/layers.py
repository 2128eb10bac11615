"""Layers of the networks: seeded, so that global randomness is left alone, and a linear head with dropout before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.errors import ModelError

HEAD_BLOCK = 1_024
"""Items in the head at a time: bounds its memory, whatever the size of the pool."""
FEW_HEADS = 20
"""Heads, passes counted, up to which a product of a few items at a time takes half as long as one of many."""
FEW_ITEMS = 64
CHUNK = 1 << 18
"""Numbers that become probabilities at a time: what the processor's cache holds."""


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


def in_blocks(features: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Features ``[N, D]``, some items at a time, as `head_probabilities` takes them."""
    for start in range(0, len(features), HEAD_BLOCK):
        yield features[start : start + HEAD_BLOCK]


def head_probabilities(
    blocks: Iterable[NDArray[np.float32]],
    count: int,
    head: nn.Linear,
    rate: float,
    samples: int,
    seed: int,
    *,
    multiple: bool = False,
) -> NDArray[np.float32]:
    """Class probabilities ``[N, K, C]`` of K dropout samples of a linear head over features.

    ``blocks`` are of ``count`` items together ``N x [D]``, `HEAD_BLOCK` of them at a time; each is done with when the
    next is asked for. ``multiple``: each class by itself, by a sigmoid.

    A pass is one sampled network: its mask is the same for all items (consistent Monte-Carlo dropout; Kirsch,
    van Amersfoort & Gal 2019, https://arxiv.org/abs/1906.08158, section 3.2). Joint scores such as BatchBALD and EPIG
    need that; it also makes an item's probabilities independent of its neighbours, and K passes one matrix product.

    In memory the items come last: softmax and entropies then run along whole rows, five times faster than over rows of
    ten classes.
    """
    classes, dims = head.weight.shape
    weight, bias = head.weight[:, None, :], head.bias[:, None, None]
    if samples > 1:
        generator = torch.Generator().manual_seed(seed)
        masks = dropout(torch.ones(samples, 1, dims), rate, generator)  # [K, 1, D]
        weight = weight * masks[:, 0]  # [C, K, D]
    out = np.empty((classes, samples, count), dtype=np.float32)
    _put_logits(out.reshape(classes * samples, count), blocks, weight.reshape(classes * samples, dims))
    device, step = hardware.device(), max(1, CHUNK // (classes * samples))
    bias = bias.to(device)
    for start in range(0, count, step):
        logits = torch.from_numpy(out[:, :, start : start + step]).to(device) + bias
        rows = torch.sigmoid(logits) if multiple else F.softmax(logits, dim=0)
        out[:, :, start : start + step] = rows.cpu().numpy()
    return out.transpose(2, 1, 0)


def _put_logits(out: NDArray[np.float32], blocks: Iterable[NDArray[np.float32]], heads: Tensor) -> None:
    """Products ``[H, N]`` of heads ``[H, D]`` and items, block by block."""
    device, start = hardware.device(), 0
    by_few = device.type == "cpu" and len(heads) <= FEW_HEADS
    weights, heads = heads.detach().numpy().T, heads.to(device)
    for block in blocks:
        part = out[:, start : start + len(block)]
        start += len(block)
        if by_few:  # numpy's BLAS has kernels for small products; torch's packs its operands first
            stacks = len(block) // FEW_ITEMS
            whole = stacks * FEW_ITEMS
            stacked = np.matmul(block[:whole].reshape(stacks, FEW_ITEMS, block.shape[1]), weights)
            part[:, :whole] = stacked.reshape(whole, len(heads)).T
            part[:, whole:] = (block[whole:] @ weights).T
        else:
            part[:] = (heads @ torch.from_numpy(block).to(device).T).cpu().numpy()


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
