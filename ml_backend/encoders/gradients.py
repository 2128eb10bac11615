"""Images without labels: directions of brightness changes, compared under small affine distortions.

Nothing is trained but a projection. What a contrastive network has to learn from distorted copies, that a sheared or
turned image is the same image, is put into the comparison itself: two images are as far apart as the closest of one's
distorted views is from the other (the distorted views of Simard, LeCun & Denker 1993, sampled instead of
linearised). On 8,000 digits this takes half a minute of one core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor

from ml_backend import hardware
from ml_backend.encoders.base import Rows
from ml_backend.errors import ModelError
from ml_backend.records import Progress, no_progress

Images = NDArray[np.uint8]
DIRECTIONS: Final = 8
CELL: Final = 4
"""Side of the squares over which gradients are summed, in pixels."""
BLOCK: Final = 200
LIMITS: Final = {"rotation": 90.0, "shear": 2.0, "scale": 2.0, "shift": 0.5, "dimensions": 1024.0}

Distortion = tuple[float, float, float, float, float]
"""Rotation in radians, shear, horizontal scale, shift to the right and down in shares of half the side."""


class Gradients:
    """Principal components of gradient histograms, with views under affine distortions."""

    name: ClassVar[str] = "gradients"
    object_tag: ClassVar[str] = "Image"

    def __init__(self, mean: Tensor, axes: Tensor, shape: tuple[int, int], distortions: Sequence[Distortion]) -> None:
        self._mean, self._axes = mean, axes
        self._shape, self._distortions = shape, tuple(distortions)

    @classmethod
    def options(cls) -> Mapping[str, float]:
        """Largest distortions that leave the label as it is, and how many components are kept.

        ``rotation`` in degrees, ``shear`` as a share of the height, ``scale`` as a share of the width, ``shift`` as a
        share of the side; 0 leaves a kind of distortion out. Shifts below two pixels change the histograms little.
        """
        return {"rotation": 15.0, "shear": 0.5, "scale": 0.25, "shift": 0.0, "dimensions": 64.0}

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: it needs no weights."""
        return None

    @classmethod
    @hardware.threads()
    def learn(
        cls,
        items: Sequence[Images],
        *,
        seed: int,  # noqa: ARG003 (nothing is drawn)
        options: Mapping[str, float] | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Find the principal components of the items' histograms; see ``Encoder.learn``."""
        chosen = _resolved(cls.options(), options)
        if not len(items):
            raise ModelError("gradients: there are no items to learn from; import tasks first")
        rows = []
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                rows.append(histograms(_stack(items[start : start + BLOCK], None)))
                progress(min(start + BLOCK, len(items)), len(items))
            found = torch.cat(rows)
            mean = found.mean(dim=0)
            covariance = (found - mean).T @ (found - mean) / len(found)
            _, vectors = torch.linalg.eigh(covariance.double())  # rising
        kept = min(int(chosen["dimensions"]), vectors.shape[1])
        axes = vectors[:, -kept:].flip(1).float().contiguous()
        # An eigenvector's sign is arbitrary: its largest entry is made positive.
        axes *= torch.sign(axes[axes.abs().argmax(dim=0), torch.arange(kept)])
        return cls(mean.clone(), axes, _shape_of(items[0]), distortions_of(chosen))

    def embed(self, items: Sequence[Images]) -> Rows:
        """Components of the items' histograms ``[N, D]``."""
        return self._view(items, None)

    def views(self, items: Sequence[Images]) -> Iterator[Rows]:
        """The items as they are, then under each distortion."""
        yield self.embed(items)
        for distortion in self._distortions:
            yield self._view(items, distortion)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Projection and distortions."""
        config = {"shape": list(self._shape), "distortions": [list(d) for d in self._distortions]}
        return {"mean": self._mean.clone(), "axes": self._axes.clone()}, config

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a learnt encoder."""
        try:
            height, width = (int(side) for side in config["shape"])
            distortions = [
                (float(a), float(b), float(c), float(d), float(e)) for a, b, c, d, e in config["distortions"]
            ]
            encoder = cls(weights["mean"], weights["axes"], (height, width), distortions)
            encoder.embed([np.zeros((height, width), np.uint8)])
        except (KeyError, TypeError, ValueError, RuntimeError) as exc:
            raise ModelError(f"gradients: the stored embedding is damaged ({exc}); delete it and run a round") from exc
        return encoder

    @hardware.threads()
    def _view(self, items: Sequence[Images], distortion: Distortion | None) -> Rows:
        out = np.empty((len(items), self._axes.shape[1]), np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                block = _stack(items[start : start + BLOCK], self._shape)
                found = histograms(block if distortion is None else distorted(block, distortion))
                out[start : start + BLOCK] = ((found - self._mean) @ self._axes).numpy()
        return out


def distortions_of(options: Mapping[str, float]) -> list[Distortion]:
    """The sampled distortions: shear in five steps, each with rotations and with widths; shifts to four sides."""
    turn, shear, wide = math.radians(options["rotation"]), options["shear"], 1.0 + options["scale"]
    shears = [shear * step for step in (0.0, -1.0, -0.5, 0.5, 1.0)]
    found = [(t, s, 1.0, 0.0, 0.0) for s, t in product(shears, (0.0, -turn, turn))]
    found += [(0.0, s, w, 0.0, 0.0) for s, w in product(shears, (wide, 1.0 / wide))]
    far = 2.0 * options["shift"]
    found += [(0.0, 0.0, 1.0, x, y) for x, y in ((far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far))]
    plain = (0.0, 0.0, 1.0, 0.0, 0.0)
    return [d for d in dict.fromkeys(tuple(v + 0.0 for v in d) for d in found) if d != plain]  # type: ignore[misc]


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


def _stack(items: Sequence[Images], shape: tuple[int, int] | None) -> Tensor:
    """Items as ``float32 [N, 1, H, W]`` in [0, 1]."""
    wanted = shape or _shape_of(items[0])
    for item in items:
        if _shape_of(item) != wanted:
            raise ModelError(f"gradients: items must be uint8 {list(wanted)}, not {list(np.shape(item))}")
    return torch.from_numpy(np.stack(items)).float().div_(255)[:, None]


def _shape_of(item: Images) -> tuple[int, int]:
    if np.ndim(item) != 2:
        raise ModelError(f"gradients: items must be grey images [height, width], not {list(np.shape(item))}")
    return int(item.shape[0]), int(item.shape[1])


def _resolved(defaults: Mapping[str, float], given: Mapping[str, float] | None) -> dict[str, float]:
    values = dict(defaults)
    for name, value in (given or {}).items():
        if name not in defaults:
            raise ModelError(f"gradients has no option {name!r}; valid names: {', '.join(defaults)}")
        least = 1 if name == "dimensions" else 0
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not least <= value <= LIMITS[name]:
            raise ModelError(f"gradients: {name} must be from {least} to {LIMITS[name]:g}, not {value!r}")
        values[name] = float(value)
    return values
