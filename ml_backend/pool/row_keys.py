"""Rows of a pool as numbers: draws, ties and sets go by them, as they go by tasks' ids elsewhere.

A row's number depends on its id alone: the control order over a pool is the same in every round, on every machine,
whatever is embedded in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.records import FIRST_ROW

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST: Final = 4096
"""Bytes of an id beyond which positions begin anew."""
BYTES_AT_ONCE: Final = 1 << 22

Unsigned = NDArray[np.uint64]


def row_keys(ids: Sequence[str] | pa.Array) -> Ids:
    """A number in [2^62, 2^63) for each id ``[N]``: equal for equal ids, else almost surely different.

    Each byte times a random odd number of its place, added up modulo 2^64 (multilinear hashing, Carter & Wegman 1979),
    then mixed. Two of ten million ids share a number with a chance of one in ten thousand; of such a pair one is asked.

    Args:
        ids: texts, or an Arrow array of them, which is read where it lies.
    """
    if hasattr(ids, "buffers"):
        return _of_arrow(ids)
    keys: list[Ids] = []
    part: list[bytes] = []
    size = 0
    for text in ids:
        raw = text.encode("utf-8", "surrogatepass")
        part.append(raw)
        size += len(raw)
        if size > BYTES_AT_ONCE:
            keys.append(_of_bytes(part))
            part, size = [], 0
    keys.append(_of_bytes(part))
    return np.concatenate(keys)


def _of_arrow(ids: pa.Array) -> Ids:
    """Of a string array without nulls, in parts."""
    width = np.int64 if str(ids.type) == "large_string" else np.int32
    _, offsets, content = ids.buffers()
    ends = np.frombuffer(offsets, dtype=width)[ids.offset : ids.offset + len(ids) + 1].astype(np.int64)
    raw = np.frombuffer(content or b"", dtype=np.uint8)
    keys: list[Ids] = [np.zeros(0, np.int64)]
    start = 0
    while start < len(ids):
        end = max(start + 1, int(np.searchsorted(ends, ends[start] + BYTES_AT_ONCE, side="right")) - 1)
        end = min(end, len(ids))
        keys.append(_hashed(raw[ends[start] : ends[end]], np.diff(ends[start : end + 1])))
        start = end
    return np.concatenate(keys)


def _of_bytes(ids: Sequence[bytes]) -> Ids:
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    return _hashed(np.frombuffer(b"".join(ids), dtype=np.uint8), lengths)


def _hashed(content: NDArray[np.uint8], lengths: NDArray[np.int64]) -> Ids:
    """Of ids that lie one after the other: those of one length together, as the rows of a matrix."""
    if not len(lengths):
        return np.zeros(0, np.int64)
    starts = np.cumsum(lengths) - lengths
    sums: Unsigned = np.zeros(len(lengths), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for length in np.unique(lengths).tolist():
            rows, weights = np.flatnonzero(lengths == length), _weights()[np.arange(length) % LONGEST]
            alike = len(rows) == len(lengths)
            found = content.reshape(len(rows), length) if alike else content[starts[rows, None] + np.arange(length)]
            sums[rows] = found.astype(np.uint64) @ weights + weights.sum()  # as if each byte were one more: 0 counts
        mixed = _mixed(sums + _mixed(lengths.astype(np.uint64)))
    return ((mixed >> np.uint64(2)) | np.uint64(FIRST_ROW)).astype(np.int64)


@lru_cache(maxsize=1)
def _weights() -> Unsigned:
    with np.errstate(over="ignore"):
        return _mixed(np.arange(1, LONGEST + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


def _mixed(values: Unsigned) -> Unsigned:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    z = values.copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(z ^ (z >> np.uint64(31)))
