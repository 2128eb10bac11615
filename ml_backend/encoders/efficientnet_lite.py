"""EfficientNet-Lite as a function from pixels to features: inference only, batch norm folded into the convolutions.

Axes: ``N`` pictures, ``[N, 3, H, W]`` pixels, ``[N, 1280]`` features.

Source: Tan & Le 2019, https://arxiv.org/abs/1905.11946; the "Lite" form (no squeeze and excitation, ReLU6) by Liu 2020,
https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN, SPREAD = 127.0, 128.0
"""Pixels go in as ``(value - 127) / 128``, as in training."""
EPSILON: Final = 1e-3
"""Of the batch norms, as trained."""
STAGES: Final = (  # repeats, kernel, stride, channels out; all but the first expand their input six times
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
"""Of Lite0; the others scale them."""
STEM: Final = 32
FEATURES: Final = 1_280
STEP: Final = 8
"""Channels come in multiples of it."""


@dataclass(frozen=True)
class Size:
    """One member of the family: how much wider and deeper than Lite0 it is, and the pictures that it sees."""

    width: float
    """Times the channels of each stage, rounded to `STEP`; stem and head keep theirs."""
    depth: float
    """Times the repeats of each stage, rounded up; the first stage and the last keep theirs."""
    side: int
    """Width and height of its pictures, in pixels."""

    def channels(self, count: int) -> int:
        """Channels of a stage; never less than nine tenths of what the width asks for."""
        wanted = count * self.width
        rounded = max(STEP, int(wanted + STEP / 2) // STEP * STEP)
        return rounded if rounded >= 0.9 * wanted else rounded + STEP

    def repeats(self, place: int, count: int) -> int:
        """Blocks of the stage at a place."""
        return count if place in (0, len(STAGES) - 1) else math.ceil(count * self.depth)


LITE0: Final = Size(1.0, 1.0, 224)
LITE1: Final = Size(1.0, 1.1, 240)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd pixel goes to the right and to the bottom."""

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, H, W]`` → ``[N, C', ceil(H / stride), ceil(W / stride)]``."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[2:])
        inside = (height // 2, width // 2)
        if height % 2 or width % 2:  # a copy of the picture, which the convolution's own padding spares
            input = functional.pad(input, (0, width % 2, 0, height % 2))
        return functional.conv2d(input, self.weight, self.bias, self.stride, inside, self.dilation, self.groups)


class Block(nn.Module):
    """An inverted residual: expand by 1 x 1, one kernel a channel, project by 1 x 1."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inside * expand
        self.expand = nn.Conv2d(inside, wide, 1) if expand > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, out, 1)
        self.skips = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` → ``[N, C', H / stride, W / stride]``."""
        y: Tensor = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        y = self.project(functional.relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.skips else y


class EfficientNetLite(nn.Module):
    """``[N, 3, side, side]`` → ``[N, 1280]``: what the last layer before the classes of ImageNet sees."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM, 3, 2)
        blocks, inside = [], STEM
        for place, (repeats, kernel, stride, channels) in enumerate(STAGES):
            out = size.channels(channels)
            for repeat in range(size.repeats(place, repeats)):
                blocks.append(Block(inside, out, kernel, stride if repeat == 0 else 1, 6 if place else 1))
                inside = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(inside, FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features, averaged over the picture."""
        x = functional.relu6(self.stem(x), inplace=True)
        x = functional.relu6(self.head(self.blocks(x)), inplace=True)
        features: Tensor = x.mean(dim=(2, 3))
        return features

    @classmethod
    def from_published(cls, size: Size, weights: Mapping[str, Tensor]) -> EfficientNetLite:
        """From a published state dict, ``_conv_stem``, ``_bn0``, ``_blocks.I._expand_conv``, …, its norms folded in.

        Raises:
            KeyError: a weight is missing. RuntimeError: one has another shape.
        """
        network = cls(size)
        with torch.no_grad():
            for layer, convolution, norm in network._published_names():
                scale = weights[f"{norm}.weight"] * torch.rsqrt(weights[f"{norm}.running_var"] + EPSILON)
                layer.weight.copy_(weights[f"{convolution}.weight"] * scale[:, None, None, None])
                cast(Tensor, layer.bias).copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
        return network.eval().requires_grad_(False)

    def _published_names(self) -> Iterator[tuple[nn.Conv2d, str, str]]:
        """Each convolution, with the published names of its weights and of the norm after it."""
        yield self.stem, "_conv_stem", "_bn0"
        for place, block in enumerate(cast("list[Block]", self.blocks)):
            name = f"_blocks.{place}."
            if block.expand is not None:
                yield block.expand, f"{name}_expand_conv", f"{name}_bn0"
            yield block.depthwise, f"{name}_depthwise_conv", f"{name}_bn1"
            yield block.project, f"{name}_project_conv", f"{name}_bn2"
        yield self.head, "_conv_head", "_bn1"
