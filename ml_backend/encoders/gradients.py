"""Images without labels: directions of brightness changes, compared under small affine distortions.

Nothing is trained but a projection. What a contrastive network has to learn from distorted copies, that a sheared or
turned image is the same image, is put into the comparison itself: two images are as far apart as the closest of one's
distorted views is from the other (the distorted views of Simard, LeCun & Denker 1993, sampled instead of
linearised).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from ml_backend import hardware
from ml_backend.encoders.base import Rows, need_items
from ml_backend.errors import ModelError
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

    from ml_backend.encoders.gradient_histograms import Distortion, Images

BLOCK: Final = 200
LIMITS: Final = {"rotation": 90.0, "shear": 2.0, "scale": 2.0, "shift": 0.5, "dimensions": 1024.0}


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
        import torch

        from ml_backend.encoders.gradient_histograms import histograms, shape_of, stack

        chosen = _resolved(cls.options(), options)
        need_items(cls.name, items)
        rows = []
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                rows.append(histograms(stack(items[start : start + BLOCK], None)))
                progress(min(start + BLOCK, len(items)), len(items))
            found = torch.cat(rows)
            mean = found.mean(dim=0)
            covariance = (found - mean).T @ (found - mean) / len(found)
            _, vectors = torch.linalg.eigh(covariance.double())  # rising
        kept = min(int(chosen["dimensions"]), vectors.shape[1])
        axes = vectors[:, -kept:].flip(1).float().contiguous()
        # An eigenvector's sign is arbitrary: its largest entry is made positive.
        axes *= torch.sign(axes[axes.abs().argmax(dim=0), torch.arange(kept)])
        return cls(mean.clone(), axes, shape_of(items[0]), distortions_of(chosen))

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
        import torch

        from ml_backend.encoders.gradient_histograms import distorted, histograms, stack

        out = np.empty((len(items), self._axes.shape[1]), np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                block = stack(items[start : start + BLOCK], self._shape)
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
