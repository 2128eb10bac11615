"""Marks of picture files: whether another picture stands under a path, without fetching any.

A mark has 64 bits. The lower 32 are the file's size, the upper 32 stand for the time of its last change, or are 0 where
nobody knows that: not every bucket tells it (`bucket_times`), and earlier releases did not ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def picture_marks(changed: Sequence[int], sizes: Sequence[int | None], since: float = 0.0) -> Marks:
    """Marks ``[N]`` of files.

    Args:
        changed: when, in nanoseconds since 1970 (`file_times`); 0: not known.
        sizes: bytes.
        since: seconds since 1970: of files that were last changed before, the time does not count.
    """
    found = np.array([(0 if size is None else size) + 1 for size in sizes], dtype=np.uint64) & LOW
    times = np.array([_told(each, since) for each in changed], dtype=np.uint64)
    return np.asarray(found | (times << HALF))


def _told(changed: int, since: float) -> int:
    """32 bits that stand for a time of change; 0: not known, or long ago."""
    if changed <= since * 1e9:
        return 0
    return (changed * MIXER & 0xFFFFFFFFFFFFFFFF) >> 32 or 1


def file_times(paths: Sequence[str]) -> list[int]:
    """When files of this machine were last changed, in nanoseconds since 1970; 0: not known."""
    return [_changed(path) for path in paths]


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def differ(before: Marks, now: Marks) -> NDArray[np.bool_]:
    """Whether marks are of different contents ``[N]``: in their lower half, or in upper ones that are both known.

    Of texts a mark is a hash of 64 bits, for which this is as good as comparing all of them.
    """
    known = (before != 0) & (now != 0)
    one, other = before >> HALF, now >> HALF
    timed = (one != 0) & (other != 0) & (one != other)
    return np.asarray(known & (((before ^ now) & LOW != 0) | timed))


def mark_of(path: Any, size: Any, *, times: Callable[[Sequence[str]], list[int]], moved_at: str) -> Any:
    """An expression: the mark of each file.

    Args:
        path: an expression: the whole path.
        size: an expression: bytes.
        times: when files were last changed, by their paths: as `file_times`.
        moved_at: when the files were put where they are, and vectors kept of where they were; empty: never.
    """
    daft = engine()
    since = datetime.fromisoformat(moved_at).timestamp() if moved_at else 0.0

    @daft.func.batch(return_dtype=daft.DataType.uint64())  # type: ignore[untyped-decorator]
    def mark(paths: Any, sizes: Any) -> Any:
        return picture_marks(times(paths.to_pylist()), sizes.to_pylist(), since)

    return mark(path, size)
