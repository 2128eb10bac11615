"""Which rows there are, by a hash of their ids, and a mark of what stands in each: 16 bytes a row.

Axes: ``N`` rows. A hash has 64 bits: that two different ids of ten million share one has a chance of 3 in a million,
and is told, as a doubled id is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.errors import DataError
from ml_backend.pool.engine import engine
from ml_backend.pool.marks import differ
from ml_backend.pool.source import Source
from ml_backend.pool.vector_columns import numbers_in
from ml_backend.pool.vectors import Marks

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
    marks: Marks
    """Of each ``[N]``; 0 where nobody knows."""

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def of(cls, hashes: Hashes, marks: Marks) -> Self:
        """From hashes in any order."""
        order = np.argsort(hashes)
        return cls(hashes[order], marks[order])

    def only(self, wanted: NDArray[np.bool_]) -> Ledger:
        """Some of it, by a mask."""
        return Ledger(self.hashes[wanted], self.marks[wanted])

    def differs(self, now: Ledger) -> NDArray[np.bool_]:
        """Whether each row stands in another ledger with another mark ``[N]``."""
        if not len(now):
            return np.zeros(len(self), np.bool_)
        places = np.minimum(np.searchsorted(now.hashes, self.hashes), len(now) - 1)
        there = now.hashes[places] == self.hashes
        return np.asarray(there & differ(self.marks, now.marks[places]))

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

    return numbers_in(Series.from_arrow(ids.cast(pa.large_string())).hash().to_arrow())


def ledger_of(batches: Iterable[tuple[pa.Array, Marks]]) -> Ledger:
    """The ledger of ids and marks that come in batches."""
    parts: list[Hashes] = [np.zeros(0, np.uint64)]
    marks: list[Marks] = [np.zeros(0, np.uint64)]
    for ids, known in batches:
        parts.append(hashes_of(ids))
        marks.append(known)
    return Ledger.of(np.concatenate(parts), np.concatenate(marks))


def look_through(source: Source, *, marked: bool = False, meanwhile: Callable[[], object] | None = None) -> Ledger:
    """The ledger of a whole pool; its ids are seen to be there, and once each.

    Args:
        source: the pool.
        marked: whether marks are wanted: all texts are read for them.
        meanwhile: done beside it, to be done when it returns; should it fail, whoever needs it will be told.

    Raises:
        DataError: a row has no id, or two have the same; the message names some.
    """
    column, url = source.pool.id_column, source.pool.url
    batches = source.marks() if marked else ((ids, np.zeros(len(ids), np.uint64)) for ids in source.ids())
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as beside:
        if meanwhile is not None:
            beside.submit(meanwhile)
        ledger = ledger_of(_present(batches, column, url))
    doubled = np.unique(ledger.hashes[1:][ledger.hashes[1:] == ledger.hashes[:-1]])
    if len(doubled):
        counts = _named(source, doubled[:MOST_DOUBLED])
        twice = {name: count for name, count in counts.items() if count > 1} or counts
        shown = ", ".join(f"{name!r} ({count} times)" for name, count in list(twice.items())[:SHOWN])
        raise DataError(
            f"{len(doubled):,} ids in the column {column!r} of {url} are there more than once: {shown}. An id must "
            "tell one row from all others: remove the copies, or connect the pool with another --id."
        )
    return ledger


def _present(batches: Iterable[tuple[pa.Array, Marks]], column: str, url: str) -> Iterable[tuple[pa.Array, Marks]]:
    pc: Any = extras.require("A pool", "pyarrow", "pyarrow.compute")
    total = missing = 0
    before: Any = None
    for ids, marks in batches:
        if ids.null_count or pc.min(pc.binary_length(ids)).as_py() == 0:
            empty = pc.fill_null(pc.equal(ids, ""), True)
            place = pc.index(empty, True).as_py()
            before = before or (ids[place - 1].as_py() if place else "the beginning")
            missing += pc.sum(empty).as_py()
        total += len(ids)
        yield ids, marks
    if missing:
        raise DataError(
            f"{missing:,} of {total:,} rows of {url} have no id in the column {column!r} (the first after {before!r}), "
            "or one of another type than the other files. Give each row an id, or connect the pool with another --id."
        )


def _named(source: Source, hashes: Hashes) -> Counter[str]:
    asked = Ledger(hashes, np.zeros(len(hashes), np.uint64))
    found: Counter[str] = Counter()
    for ids in source.ids():
        chosen = np.flatnonzero(asked.has(hashes_of(ids)))
        found.update(ids.take(chosen).to_pylist())
    return found
