"""Which rows there are, by a hash of their ids: 8 bytes a row, whatever the ids look like.

Axes: ``N`` rows. A hash has 64 bits: that two different ids of ten million share one has a chance of 3 in a million,
and is told, as a doubled id is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.errors import DataError
from ml_backend.pool.engine import engine
from ml_backend.pool.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = NDArray[np.uint64]
SHOWN: Final = 3
"""Ids that a message names."""
MOST_DOUBLED: Final = 1_000
"""Doubled ids that are looked for by name."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """Ids that are somewhere."""

    hashes: Hashes
    """Rising ``[N]``."""

    def __len__(self) -> int:
        return len(self.hashes)

    def has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Whether each is here ``[n]``."""
        if not len(self.hashes):
            return np.zeros(len(hashes), np.bool_)
        places = np.searchsorted(self.hashes, hashes)
        return np.asarray(self.hashes[np.minimum(places, len(self.hashes) - 1)] == hashes)


def hashes_of(ids: pa.Array) -> Hashes:
    """A hash of each id ``[n]``, the same wherever it is computed."""
    import pyarrow as pa

    engine()
    from daft import Series

    found = Series.from_arrow(ids.cast(pa.large_string())).hash().to_arrow()
    return np.asarray(found, dtype=np.uint64)


def ledger_of(batches: Iterable[pa.Array]) -> Ledger:
    """The ledger of ids that come in batches."""
    parts = [hashes_of(ids) for ids in batches]
    return Ledger(np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint64))


def look_through(source: Source) -> Ledger:
    """The ledger of a whole pool; its ids are seen to be there, and once each.

    Raises:
        DataError: a row has no id, or two have the same; the message names some.
    """
    column, url = source.pool.id_column, source.pool.url
    ledger = ledger_of(_present(source.ids(), column, url))
    doubled = np.unique(ledger.hashes[1:][ledger.hashes[1:] == ledger.hashes[:-1]])
    if len(doubled):
        counts = _named(source, Ledger(doubled[:MOST_DOUBLED]))
        twice = {name: count for name, count in counts.items() if count > 1} or counts
        shown = ", ".join(f"{name!r} ({count} times)" for name, count in list(twice.items())[:SHOWN])
        raise DataError(
            f"{len(doubled):,} ids in the column {column!r} of {url} are there more than once: {shown}. An id must "
            "tell one row from all others: take the copies out, or connect the pool with another --id."
        )
    return ledger


def _present(batches: Iterable[pa.Array], column: str, url: str) -> Iterable[pa.Array]:
    pc: Any = extras.require("A pool", "pyarrow", "pyarrow.compute")
    total = missing = 0
    before: Any = None
    for ids in batches:
        empty = pc.fill_null(pc.equal(ids, ""), True)
        if count := pc.sum(empty).as_py():
            place = pc.index(empty, True).as_py()
            before = before or (ids[place - 1].as_py() if place else "the beginning")
            missing += count
        total += len(ids)
        yield ids
    if missing:
        raise DataError(
            f"{missing:,} of {total:,} rows of {url} have no id in the column {column!r} (the first after {before!r}), "
            "or one of another type than the other files. Give each row an id, or connect the pool with another --id."
        )


def _named(source: Source, asked: Ledger) -> Counter[str]:
    found: Counter[str] = Counter()
    for ids in source.ids():
        chosen = np.flatnonzero(asked.has(hashes_of(ids)))
        found.update(ids.take(chosen).to_pylist())
    return found
