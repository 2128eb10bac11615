"""The network of `mnist_cnn`, how its images are distorted in training, and how it is made faster to score with."""

from __future__ import annotations

import copy
import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from torch import Tensor, nn

from ml_backend.encoders.pictures import GREY_SIDE
from ml_backend.models.layers import HeadedNetwork, initialise

CHANNELS = (16, 32, 64)
CHANNELS_LAST: Final = torch.channels_last
"""Layout of the weights, and with them of all activations: max-pooling is then several times faster."""

ROTATION, SCALE, SHEAR, SHIFT = math.radians(15), 0.15, 0.2, 0.15
"""Largest augmentation: radians, share, share, share of half the side (2 pixels). A digit stays the same digit."""


class _MaxPool(nn.Module):
    """Largest of each 2 x 2 pixels. torch notes where each was, for the gradient: in evaluation that costs time."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return F.max_pool2d(x, 2)
        rows, columns = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        higher = torch.maximum(x[:, :, 0:rows:2, :columns], x[:, :, 1:rows:2, :columns])
        return torch.maximum(higher[..., 0::2], higher[..., 1::2])


class Network(HeadedNetwork):
    """Trunk ``[N, 1, 28, 28] -> [N, D]`` and head ``-> [N, C]``."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        widths = (1, *CHANNELS)
        layers: list[nn.Module] = []
        for before, after in zip(widths, CHANNELS, strict=False):
            # Pooling first: batch norm and ReLU then run on a quarter of the pixels.
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [convolution, _MaxPool(), nn.BatchNorm2d(after), nn.ReLU()]
        side = GREY_SIDE // 2 ** len(CHANNELS)
        layers += [nn.Flatten(), nn.Linear(CHANNELS[-1] * side * side, hidden), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, classes)


def new_network(hidden: int, classes: int, generator: torch.Generator) -> Network:
    """A network with weights drawn from the generator, in the layout that trains fastest."""
    with torch.device("meta"):
        network = Network(hidden, classes)
    initialise(network, generator)
    return network.to(memory_format=CHANNELS_LAST)


def folded(trunk: nn.Sequential) -> nn.Sequential:
    """The trunk to score raw pixels with: each batch norm, and the division by 255, put into its convolution.

    ``max_i(c_i) s + b = max_i(s c_i + b)`` for ``s > 0``: a scale can go before the pooling unless it is negative,
    which is rare; such a layer keeps its batch norm. The trained weights stay as they are.
    """
    layers: list[nn.Module] = []
    unit = 255.0
    for layer in trunk:
        if isinstance(layer, nn.Conv2d):
            weight, bias = layer.weight.detach() / unit, torch.zeros(layer.out_channels)
            layers.append(_convolution(weight, bias))
            unit = 1.0
        elif isinstance(layer, nn.BatchNorm2d) and (affine := _affine(layer))[0].min() > 0:
            scale, shift = affine
            layers[-2] = _convolution(weight * scale[:, None, None, None], shift)  # behind it stands the pooling
        else:
            layers.append(copy.deepcopy(layer))
    return nn.Sequential(*layers).eval()


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    with torch.device("meta"):  # which draws no random numbers
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=1)
    layer.weight, layer.bias = (nn.Parameter(values, requires_grad=False) for values in (weight, bias))
    return layer


def _affine(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm in evaluation multiplies each channel with, and what it adds ``[C]``."""
    values = layer.state_dict()
    scale = values["weight"] * torch.rsqrt(values["running_var"] + layer.eps)
    return scale, values["bias"] - scale * values["running_mean"]


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shear and shift each image ``[N, 1, H, W]`` by its own random amounts, in one resampling."""
    u = (torch.rand(7, len(images), generator=generator) * 2 - 1).to(images.device)  # [-1, 1)
    cos, sin = torch.cos(u[0] * ROTATION), torch.sin(u[0] * ROTATION)
    wide, high, shear = 1 + u[1] * SCALE, 1 + u[2] * SCALE, u[3] * SHEAR
    rows = [cos * wide, shear - sin * high, u[4] * SHIFT, sin * wide, cos * high, u[5] * SHIFT]
    grid = F.affine_grid(torch.stack(rows, dim=1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
