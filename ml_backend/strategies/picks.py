"""What a batch strategy returns, and what several of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
Reasons = Mapping[int, str]
"""Position of a pick → why it was picked, beside the strategy; ``{3}`` stands for the name of class 3."""


@dataclass(frozen=True)
class Picks:
    """``B`` picks, first asked first."""

    order: Positions
    """Positions among the items ``[B]``, each at most once."""
    utility: Floats
    """In [0, 1] and never rising ``[B]``: what each pick added, in the strategy's own measure."""
    reasons: Reasons = field(default_factory=dict)
    """Of the picks about which there is more to say than the strategy's name."""

    @classmethod
    def of(cls, order: Sequence[int] | Positions, values: Floats, reasons: Reasons | None = None) -> Self:
        """Picks with ``values`` clipped to [0, 1], each at most its predecessor's."""
        falling = np.minimum.accumulate(np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0))
        return cls(np.asarray(order, dtype=np.int64), falling, reasons or {})

    @classmethod
    def relative(cls, order: Sequence[int] | Positions, values: Floats) -> Self:
        """Picks with ``values`` as parts of the largest; 0 where all are."""
        return cls.of(order, values / (float(np.max(values, initial=0.0)) or 1.0))

    @classmethod
    def by_place(cls, order: Sequence[int] | Positions, reasons: Reasons | None = None) -> Self:
        """Picks whose only measure is their place: ``1 - b / B``."""
        return cls.of(order, 1.0 - np.arange(len(order)) / max(len(order), 1), reasons)


def first_of_copies(rows: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether each row is the first of its copies ``[N]``, by a 64-bit hash of its bytes.

    Two different rows of a million share a hash with probability 3e-8.
    """
    flat = np.ascontiguousarray(rows, dtype=np.float64).reshape(len(rows), -1) + 0.0  # -0.0 is 0.0
    weights = np.random.default_rng(0).integers(2**63, size=flat.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    bits = flat.view(np.uint64)
    hashes = ((bits ^ (bits >> np.uint64(32))) * weights).sum(axis=1, dtype=np.uint64)
    first = np.zeros(len(flat), dtype=np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    return first
