"""Features of items, kept: all that a model computes before its first random layer, once per item and version."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice, repeat
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Kept = NDArray[np.floating[Any]]

CAPACITY = 200_000
"""Items whose features one model keeps: 100 MB of 128 numbers each, and about as much for the keys."""
BLOCK = 2048
"""Items that are computed, or handed out, at a time: a large pool's are never held as a second copy."""


class FeatureCache:
    """Features ``[N, D]`` by content. Belongs to one fitted model; safe to share between threads.

    Keyed by what an item is, not by a task's id: a pool, `/predict` and the evaluation tasks share it, and a task whose
    data changes is computed anew. When full it stays as it is: pools are read from front to back, and dropping the
    least recently used would then drop everything just before it is asked for again.

    Args:
        dims: D.
        capacity: items that are kept, at the most.
        dtype: of what is kept; float16 takes half the memory, and loses nothing of what is rounded to it anyway.
    """

    def __init__(self, dims: int, capacity: int = CAPACITY, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._dims, self._capacity = dims, capacity
        self._rows: dict[Hashable, int] = {}
        self._values: Kept = np.empty((0, dims), dtype=dtype)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def get(
        self, items: Sequence[Any], key: Callable[[Any], Hashable], compute: Callable[[Sequence[Any]], Features]
    ) -> Features:
        """Features ``[N, D]`` of items, computing those that are not known.

        Args:
            items: ``N`` items.
            key: equal for equal items, and for no others.
            compute: features of some items, in their order.
        """
        out = np.empty((len(items), self._dims), np.float32)
        self._fill(out, items, key, compute)
        return out

    def get_as_kept(
        self, items: Sequence[Any], key: Callable[[Any], Hashable], compute: Callable[[Sequence[Any]], Features]
    ) -> Kept:
        """As `get`, in the bits in which they are kept."""
        out = np.empty((len(items), self._dims), self._values.dtype)
        self._fill(out, items, key, compute)
        return out

    def _fill(
        self,
        out: Kept,
        items: Sequence[Any],
        key: Callable[[Any], Hashable],
        compute: Callable[[Sequence[Any]], Features],
    ) -> None:
        keys = [key(item) for item in items]
        with self._lock:
            rows = np.fromiter(map(self._rows.get, keys, repeat(-1)), dtype=np.int64, count=len(keys))
            missing, known = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
            for places in _blocks(known):
                out[places] = self._values[rows[places]]
            self._reserve(len(missing))
        for places in _blocks(missing):
            # Outside the lock: two threads may compute the same, neither waits for the other.
            out[places] = compute([items[i] for i in places])
            with self._lock:
                self._keep([keys[i] for i in places], out[places])

    def _reserve(self, more: int) -> None:
        """Make room for all that are about to come, in place: a copy would be a large pool's features once more."""
        needed = min(len(self._rows) + more, self._capacity)
        if needed > len(self._values):
            size = min(-(-needed // BLOCK) * BLOCK, self._capacity)
            self._values.resize((size, self._dims), refcheck=False)  # nobody sees it outside the lock

    def _keep(self, keys: Sequence[Hashable], values: Kept) -> None:
        new = {k: i for i, k in enumerate(keys) if k not in self._rows}
        held = len(self._rows)
        chosen = list(islice(new, self._capacity - held))
        self._reserve(len(chosen))  # another thread may have taken the room
        self._values[held : held + len(chosen)] = values[[new[k] for k in chosen]]
        self._rows.update(zip(chosen, range(held, held + len(chosen)), strict=True))


def _blocks(places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(places), BLOCK):
        yield places[start : start + BLOCK]
