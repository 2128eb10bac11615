"""Rows of a pool in memory: ids, numbers, vectors.

Axes: ``n`` rows, ``D`` numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.vector_pages import Some, in_memory


@dataclass(frozen=True)
class Rows:
    """Some rows of a pool."""

    ids: Any
    """Texts ``[n]``: an array of objects, or of Arrow, which makes no object of each until it is taken."""
    keys: Ids
    """`row_keys` of them ``[n]``."""
    vectors: Some
    """``[n, D]``; of rows that were taken from others in memory."""

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: NDArray[Any]) -> Rows:
        """Those at some places, or of a mask."""
        where = np.flatnonzero(places) if places.dtype == np.bool_ else places
        # Arrow's own way loads pandas, which takes as long as some hundred thousand rows; what is taken is little.
        ids = self.ids[where] if isinstance(self.ids, np.ndarray) else _texts([self.ids[int(i)].as_py() for i in where])
        return Rows(ids, self.keys[where], self.vectors[where])

    @property
    def names(self) -> list[str]:
        """The ids as texts."""
        return [str(name) for name in self.ids.tolist()]

    @classmethod
    def of(cls, ids: Any, vectors: Some, keys: Ids | None = None) -> Rows:
        """From ids, texts or an Arrow array of them, and vectors; and their numbers, where these are known."""
        known = row_keys(ids) if keys is None else keys
        return cls(ids if hasattr(ids, "buffers") else _texts(list(ids)), known, vectors)

    @classmethod
    def together(cls, parts: Sequence[Rows]) -> Rows:
        """Several, one after the other; at least one. Their ids are objects from then on."""
        ids = _texts([name for part in parts for name in part.names])
        vectors = np.concatenate([in_memory(part.vectors) for part in parts])
        return cls(ids, np.concatenate([part.keys for part in parts]), vectors)

    def different(self) -> Rows:
        """Each once, by rising key: the same whatever order they were found in."""
        return self.take(np.unique(self.keys, return_index=True)[1])


def _texts(ids: list[str]) -> NDArray[np.object_]:
    found = np.empty(len(ids), dtype=np.object_)
    found[:] = ids
    return found


Group = Callable[[], Rows | None]
"""Reads some rows; None where they are gone."""
