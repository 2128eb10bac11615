"""A pretrained network of pictures at work: where it computes, how precisely, and how many pictures at a time.

Axes: ``N`` pictures, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.encoders.pictures import Pixels
from ml_backend.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ml_backend.encoders.picture_networks import Network

Features = NDArray[np.float32]

BATCH: Final = 8
"""Pictures in the network at once: more leave a CPU's caches, and take longer each."""
GPU_BATCH: Final = 128


class Encoder:
    """A network where it computes, and as precisely as that is quick, unless a precision is asked for."""

    def __init__(self, network: Network, dtype: torch.dtype | None = None) -> None:
        import torch

        self.network = network
        self._device = hardware.device()
        self._dtype = dtype or _precision(self._device)
        network.module.to(device=self._device, dtype=self._dtype)
        network.module.to(memory_format=torch.channels_last)
        self._mean, self._spread = (torch.tensor(v, device=self._device) for v in (network.mean, network.spread))
        self._batch = GPU_BATCH if self._device.type == "cuda" else BATCH
        self.dims = self._forward(np.zeros((1, network.side, network.side, 3), np.uint8)).shape[1]

    def compute(self, pictures: Sequence[Pixels]) -> Features:
        """Features of pictures; see `picture_vectors.encode`."""
        wanted = (self.network.side, self.network.side, 3)
        for picture in pictures:
            if np.shape(picture) != wanted:
                raise ModelError(f"Pictures must be uint8 {list(wanted)}, not {list(np.shape(picture))}")
        rows = np.empty((len(pictures), self.dims), np.float32)
        for start in range(0, len(pictures), self._batch):
            rows[start : start + self._batch] = self._forward(np.stack(pictures[start : start + self._batch]))
        return rows

    def _forward(self, pictures: Pixels) -> Features:
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(pictures).to(self._device).float()
            pixels = pixels.sub_(self._mean).div_(self._spread).to(self._dtype).permute(0, 3, 1, 2)  # channels last
            found: Tensor = self.network.module(pixels)
            rows: Features = found.flatten(1).float().cpu().numpy()
            return rows


def _precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the CPU computes in it: quicker, and good enough for neighbours (docs/benchmarks.md)."""
    import torch

    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones lack it
    quick = device.type == "cpu" and (able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.bfloat16 if quick else torch.float32
