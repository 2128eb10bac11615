"""Vectors of 16 bits as numbers of 32, which models and products of matrices want.

Axes: ``N`` rows, ``n`` of them at a time, ``D`` numbers of a vector, ``Q`` items.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.pool.vector_pages import Some, in_blocks

BLOCK: Final = 2_048
"""Rows at a time: few enough for the processor's cache, many enough for what is done once each to count little."""


def widened(vectors: Some) -> Iterator[NDArray[np.float32]]:
    """Vectors ``[N, D]``, some rows at a time ``[n, D]``; the next ones overwrite them. Within `hardware.threads`."""
    import torch

    # By torch, many times faster than numpy's own, and into memory that is there: new memory costs more still.
    wide = np.empty((min(BLOCK, len(vectors)), vectors.shape[1]), np.float32)
    made = torch.from_numpy(wide)
    for part in in_blocks(vectors, BLOCK):
        given = torch.from_numpy(part if part.flags.writeable else part.copy())  # it takes no other memory
        made[: len(part)].copy_(given)
        yield wide[: len(part)]


def closeness(vectors: Some, items: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Of each item ``q`` to each row ``x`` ``[Q, N]``: ``q·x - |x|²/2``, which rises as ``|x - q|²`` falls.

    Args:
        vectors: of the rows ``[N, D]``.
        items: ``[Q, D]``; None: there are none.
    """
    if items is None:
        return np.zeros((0, len(vectors)), np.float32)
    out = np.empty((len(items), len(vectors)), np.float32)
    start = 0
    with hardware.threads():
        for rows in widened(vectors):
            found = np.matmul(items, rows.T)
            out[:, start : start + len(rows)] = found - np.einsum("nd,nd->n", rows, rows) / 2
            start += len(rows)
    return out
