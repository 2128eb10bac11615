"""What several encoders say of a text as one vector: they err on different texts, and a classifier hears both.

Axes: ``N`` texts, ``P`` encoders, ``D`` numbers of all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

BOTH: Final = "minilm_multilingual"
"""The two that know English sentences, learnt from other texts each by another kind of network."""
SIDE_BY_SIDE: Final[Mapping[str, Mapping[str, float]]] = {BOTH: {"minilm": 2 / 3, "multilingual": 1 / 3}}
"""Name → its encoders and their shares, which sum to 1. MiniLM, the better one alone, counts twice: neighbours are
nearer then with few labels, and a classifier does not mind (docs/benchmarks.md)."""


def joined(parts: Sequence[Vectors], shares: Sequence[float]) -> Vectors:
    """``(√s_1 v_1, ..., √s_P v_P)``, so that cosines are the parts' mean by their shares ``[N, D]``.

    Of length 1 where each part's is. All are rounded to 16 bits, before and after, so that it does not show which
    parts were kept on disk.

    Args:
        parts: vectors of the same texts by each encoder, of length 1 or 0 ``P x [N, D_p]``.
        shares: of each in the squared distance of two texts, summing to 1 ``[P]``.
    """
    rounded = [np.asarray(part, np.float16) for part in parts]
    rows = [np.float32(share**0.5) * part.astype(np.float32) for part, share in zip(rounded, shares, strict=True)]
    return np.hstack(rows).astype(np.float16).astype(np.float32)
