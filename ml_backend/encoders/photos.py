"""Photographs without labels: features of a pretrained network, from which their mean is taken away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders import picture_vectors
from ml_backend.encoders.base import Rows, WithoutOptions
from ml_backend.errors import ModelError
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

Features = NDArray[np.float32]


class Photos(WithoutOptions):
    """What a pretrained network sees in photographs, compared with what all of the pool share.

    Items are features of ``picture_vectors`` ``float32 [D]``: centred on those of the pool, and of length 1.

    ``(x - m) / |x - m|``. What all pictures of a pool share tells none of them apart, and with features that are never
    negative it is most of each.
    """

    name: ClassVar[str] = "photos"
    object_tag: ClassVar[str] = "Image"
    at_once: ClassVar[int] = 300
    """New pictures that a round reads before it orders, see `rounds.embedding`: some seconds of work."""

    def __init__(self, mean: Features) -> None:
        self._mean = mean

    @classmethod
    def missing(cls) -> str | None:
        """The packages of its networks, where none is installed."""
        return picture_vectors.all_missing()

    @classmethod
    def learn(
        cls,
        items: Sequence[Features],
        *,
        seed: int,  # noqa: ARG003 (nothing is drawn)
        options: Mapping[str, float] | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Take the mean of the items; see ``Encoder.learn``."""
        cls._check(items, options)
        mean = _stacked(cls.name, items, np.size(items[0])).mean(axis=0, dtype=np.float64)
        progress(len(items), len(items))
        return cls(mean.astype(np.float32))

    @property
    def length(self) -> int:
        """Numbers of each item."""
        return len(self._mean)

    def embed(self, items: Sequence[Features]) -> Rows:
        """Vectors of length 1 ``[N, D]``; of an item that is the mean itself, 0."""
        rows = _stacked(self.name, items, len(self._mean)) - self._mean
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths > 0, lengths, 1)  # in place: of a large pool each copy is some hundred megabytes
        return rows

    def views(self, items: Sequence[Features]) -> Iterator[Rows]:
        """One: `embed`. The picture is no longer there to be changed."""
        yield self.embed(items)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The mean."""
        import torch

        return {"mean": torch.from_numpy(self._mean.copy())}, {}

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Rebuild a learnt encoder."""
        mean = weights.get("mean")
        if mean is None or mean.ndim != 1:
            raise ModelError(f"{cls.name}: the stored embedding is damaged (no mean); delete it and run a round")
        return cls(mean.float().numpy().copy())


def _stacked(encoder: str, items: Sequence[Features], dims: int) -> Features:
    for item in items:
        if np.shape(item) != (dims,):
            raise ModelError(f"{encoder}: items must be vectors of {dims} numbers, not {list(np.shape(item))}")
    return np.asarray(items, dtype=np.float32).reshape(len(items), dims)
