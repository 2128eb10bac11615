"""What several encoders say of an item as one vector: they err on different items, and a classifier hears all of them.

Axes: ``N`` texts or pictures, ``P`` encoders, ``D`` numbers of all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Shares = Mapping[str, float]
"""Encoder → its share of the distances. They sum to 1."""

BOTH: Final = "minilm_multilingual"
"""The two that know English sentences, learnt from other texts each by another kind of network."""
SIDE_BY_SIDE: Final[Mapping[str, Shares]] = {BOTH: {"minilm": 2 / 3, "multilingual": 1 / 3}}
"""Of texts. MiniLM, the better one alone, counts twice: neighbours are nearer then with few labels, and a classifier
does not mind (docs/benchmarks.md)."""

LITES: Final = "efficientnet_lite0_lite1"
"""Two networks of one family, trained apart: with few labels their neighbours are right more often than one's."""
PICTURES_SIDE_BY_SIDE: Final[Mapping[str, Shares]] = {LITES: {"efficientnet_lite1": 1 / 2, "efficientnet_lite0": 1 / 2}}
"""Of pictures, whose vectors are made as long as each other first (`unit_rows`)."""


def joined(parts: Sequence[Vectors], shares: Sequence[float]) -> Vectors:
    """``(√s_1 v_1, ..., √s_P v_P)``, so that cosines are the parts' mean by their shares ``[N, D]``.

    Of length 1 where each part's is. All are rounded to 16 bits, before and after, so that it does not show which
    parts were kept on disk.

    Args:
        parts: vectors of the same items by each encoder, of length 1 or 0 ``P x [N, D_p]``.
        shares: of each in the squared distance of two items, summing to 1 ``[P]``.
    """
    rounded = [np.asarray(part, np.float16) for part in parts]
    rows = [np.float32(share**0.5) * part.astype(np.float32) for part, share in zip(rounded, shares, strict=True)]
    return np.hstack(rows).astype(np.float16).astype(np.float32)


def unit_rows(rows: NDArray[Any]) -> Vectors:
    """Each row at length 1 ``[N, D]``; one of zeros stays."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
