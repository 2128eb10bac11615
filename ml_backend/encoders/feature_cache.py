"""Features of items, kept: all that a model computes before its first random layer, once per item and version."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import islice, repeat
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

CAPACITY = 200_000
"""Items whose features one model keeps: 100 MB of 128 numbers each, and about as much for the keys."""


class FeatureCache:
    """Features ``[N, D]`` by content. Belongs to one fitted model; safe to share between threads.

    Keyed by what an item is, not by a task's id: a pool, `/predict` and the evaluation tasks share it, and a task whose
    data changes is computed anew. When full it stays as it is: pools are read from front to back, and dropping the
    least recently used would then drop everything just before it is asked for again.
    """

    def __init__(self, dims: int, capacity: int = CAPACITY) -> None:
        self._dims, self._capacity = dims, capacity
        self._rows: dict[Hashable, int] = {}
        self._values: Features = np.empty((0, dims), dtype=np.float32)
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
        with self._lock:
            rows = np.fromiter(map(self._rows.get, keys, repeat(-1)), dtype=np.int64, count=len(keys))
            missing = np.flatnonzero(rows < 0)
            out = self._values[np.maximum(rows, 0)] if len(missing) < len(keys) else None
        if len(missing):
            # Outside the lock: two threads may compute the same, neither waits for the other.
            computed = np.asarray(compute([items[i] for i in missing]), dtype=np.float32)
            if out is None:
                out = computed
            else:
                out[missing] = computed
            with self._lock:
                self._keep([keys[i] for i in missing], computed)
        return np.empty((0, self._dims), np.float32) if out is None else out

    def _keep(self, keys: Sequence[Hashable], values: Features) -> None:
        new = {k: i for i, k in enumerate(keys) if k not in self._rows}
        held = len(self._rows)
        chosen = list(islice(new, self._capacity - held))
        needed = held + len(chosen)
        if needed > len(self._values):
            grown = np.empty((min(max(needed, 2 * len(self._values)), self._capacity), self._dims), dtype=np.float32)
            grown[:held] = self._values[:held]
            self._values = grown
        # Not by an index on the right, which would be one more copy of all.
        np.take(values, [new[k] for k in chosen], axis=0, out=self._values[held:needed], mode="clip")
        self._rows.update(zip(chosen, range(held, needed), strict=True))
