"""Remembers results computed from files until a file changes, because pages ask for the same again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The newest results by key, each with a stamp of the files it came from. Safe to share between threads.

    Args:
        kept: number of results; the oldest are dropped.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._found: OrderedDict[str, tuple[Hashable, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str, stamp: Hashable, make: Callable[[], T]) -> T:
        """The result under a key; computed by ``make`` if there is none or its stamp differs."""
        with self._lock:
            known = self._found.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        found = make()  # outside the lock: two threads may compute the same, but neither waits for the other
        with self._lock:
            self._found[key] = stamp, found
            self._found.move_to_end(key)
            while len(self._found) > self._kept:
                self._found.popitem(last=False)
        return found


def stamp_of(*paths: Path) -> Hashable:
    """A value that changes whenever one of the files is written, created or deleted."""
    return tuple(_changed(path) for path in paths)


def _changed(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
