"""Features of items, kept: all that a model computes before its first random layer, once per item and version."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice, repeat
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

CAPACITY = 200_000
"""Items whose features one model keeps: 100 MB of 128 numbers each, and about as much for the keys."""
BLOCK = 8192
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
        self._values: NDArray[np.floating[Any]] = np.empty((0, dims), dtype=dtype)
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
        keys = [key(item) for item in items]
        out = np.empty((len(keys), self._dims), np.float32)
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
        return out

    def _reserve(self, more: int) -> None:
        """Make room for all that are about to come, once: growing copies what there is."""
        needed = min(len(self._rows) + more, self._capacity)
        if needed > len(self._values):
            size = min(max(needed, 2 * len(self._values)), self._capacity)
            grown = np.empty((size, self._dims), dtype=self._values.dtype)
            grown[: len(self._rows)] = self._values[: len(self._rows)]
            self._values = grown

    def _keep(self, keys: Sequence[Hashable], values: Features) -> None:
        new = {k: i for i, k in enumerate(keys) if k not in self._rows}
        held = len(self._rows)
        chosen = list(islice(new, self._capacity - held))
        self._reserve(len(chosen))  # another thread may have taken the room
        self._values[held : held + len(chosen)] = values[[new[k] for k in chosen]]
        self._rows.update(zip(chosen, range(held, held + len(chosen)), strict=True))


def _blocks(places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(places), BLOCK):
        yield places[start : start + BLOCK]
