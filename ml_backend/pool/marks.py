"""Marks of picture files: whether another picture stands under a path, without fetching any.

A mark has 64 bits. The lower 32 are the file's size, the upper 32 stand for the time of its last change, or are 0 where
nobody knows that: a bucket's listing does not tell it, and earlier releases did not ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.pool.engine import engine
from ml_backend.pool.vectors import Marks

HALF: Final = np.uint64(32)
LOW: Final = np.uint64(0xFFFFFFFF)
MIXER: Final = 0x9E3779B97F4A7C15
"""An odd number: products with it differ in their upper bits where the factors differ at all."""


def picture_marks(paths: Sequence[str | None], sizes: Sequence[int | None], since: float = 0.0) -> Marks:
    """Marks ``[N]`` of files.

    Args:
        paths: on this machine; None: the time is not known.
        sizes: bytes.
        since: seconds since 1970: of files that were last changed before, the time does not count.
    """
    found = np.array([(0 if size is None else size) + 1 for size in sizes], dtype=np.uint64) & LOW
    times = np.array([_time(path, since) for path in paths], dtype=np.uint64)
    return np.asarray(found | (times << HALF))


def _time(path: str | None, since: float) -> int:
    """32 bits that stand for a file's time of change; 0: not known, or long ago."""
    try:
        changed = Path(path).stat().st_mtime_ns if path is not None else 0
    except OSError:
        return 0
    if changed <= since * 1e9:
        return 0
    return (changed * MIXER & 0xFFFFFFFFFFFFFFFF) >> 32 or 1


def differ(before: Marks, now: Marks) -> NDArray[np.bool_]:
    """Whether marks are of different contents ``[N]``: in their lower half, or in upper ones that are both known.

    Of texts a mark is a hash of 64 bits, for which this is as good as comparing all of them.
    """
    known = (before != 0) & (now != 0)
    one, other = before >> HALF, now >> HALF
    timed = (one != 0) & (other != 0) & (one != other)
    return np.asarray(known & (((before ^ now) & LOW != 0) | timed))


def mark_of(path: Any, size: Any, *, local: bool, moved_at: str) -> Any:
    """An expression: the mark of each file.

    Args:
        path: an expression: the whole path.
        size: an expression: bytes.
        local: whether the files are on this machine.
        moved_at: when the files were put where they are, and vectors kept of where they were; empty: never.
    """
    daft = engine()
    since = datetime.fromisoformat(moved_at).timestamp() if moved_at else 0.0

    @daft.func.batch(return_dtype=daft.DataType.uint64())  # type: ignore[untyped-decorator]
    def mark(paths: Any, sizes: Any) -> Any:
        known = sizes.to_pylist()
        return picture_marks(paths.to_pylist() if local else [None] * len(known), known, since)

    return mark(path, size)
