"""Directions of brightness changes in images, and images under small affine distortions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor

from ml_backend.errors import ModelError

Images = NDArray[np.uint8]
DIRECTIONS: Final = 8
CELL: Final = 4
"""Side of the squares over which gradients are summed, in pixels."""

Distortion = tuple[float, float, float, float, float]
"""Rotation in radians, shear, horizontal scale, shift to the right and down in shares of half the side."""


def distorted(images: Tensor, distortion: Distortion) -> Tensor:
    """Images ``[N, 1, H, W]`` seen through ``rotation · shear · scale``, shifted."""
    turn, shear, wide, right, down = distortion
    cos, sin = math.cos(turn), math.sin(turn)
    rows = [[cos * wide, cos * shear - sin, right], [sin * wide, sin * shear + cos, down]]
    theta = torch.tensor(rows, dtype=torch.float32).expand(len(images), 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def histograms(images: Tensor) -> Tensor:
    """Square roots of how much brightness changes in 8 directions, by cells of 4 x 4 pixels, of length 1 ``[N, F]``.

    A gradient ``g`` counts ``|g| cos⁴`` towards the directions within 90° of it, so that it is shared by neighbours.
    After the histograms of oriented gradients of Dalal & Triggs 2005, https://doi.org/10.1109/CVPR.2005.177.
    """
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    angles = [2 * math.pi * d / DIRECTIONS for d in range(DIRECTIONS)]
    along = torch.stack([sobel * math.cos(a) + sobel.T * math.sin(a) for a in angles])[:, None]
    part = F.conv2d(images, along, padding=1).relu_()  # [N, 8, H, W]
    square = F.conv2d(images, torch.stack([sobel, sobel.T])[:, None], padding=1).square().sum(dim=1, keepdim=True)
    part = part.pow_(2).pow_(2).mul_((square + 1e-8).pow_(-1.5))  # |g|⁴ cos⁴ / |g|³
    cells = F.avg_pool2d(F.avg_pool2d(part, 3, 1, 1), CELL, ceil_mode=True).flatten(1).sqrt_()
    lengths: Tensor = cells.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return cells / lengths


def stack(items: Sequence[Images], shape: tuple[int, int] | None) -> Tensor:
    """Items as ``float32 [N, 1, H, W]`` in [0, 1]."""
    wanted = shape or shape_of(items[0])
    for item in items:
        if shape_of(item) != wanted:
            raise ModelError(f"gradients: items must be uint8 {list(wanted)}, not {list(np.shape(item))}")
    return torch.from_numpy(np.stack(items)).float().div_(255)[:, None]


def shape_of(item: Images) -> tuple[int, int]:
    """Height and width.

    Raises:
        ModelError: it is no grey image.
    """
    if np.ndim(item) != 2:
        raise ModelError(f"gradients: items must be grey images [height, width], not {list(np.shape(item))}")
    return int(item.shape[0]), int(item.shape[1])
