"""One streaming pass over a pool's vectors: the best rows, a random sample, and the neighbours of some items.

Axes: ``n`` rows of one group, ``D`` dimensions, ``Q`` items whose neighbours are looked for, ``K`` passes, ``C``
classes. Memory is that of a few groups and of what is kept, whatever the size of the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.draws import Ids, draws_for
from ml_backend.pool.rows import Group, Rows
from ml_backend.pool.utility import Head, utility
from ml_backend.pool.widening import closeness
from ml_backend.selection.control_arm import ORDER_STREAM
from ml_backend.selection.ordering import Floats, rank
from ml_backend.strategies.several import OverClasses

In = TypeVar("In")
Out = TypeVar("Out")
MOST_THREADS: Final = 8
"""Threads that read and score, a core each: a disk feeds no more, and each holds a group's vectors."""
NEAREST: Final = 50
"""Neighbours of each item."""


class Top:
    """The ``count`` rows of largest value so far, ties as `ordering.rank` breaks them: exactly what it gives of all."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._parts: list[tuple[Rows, NDArray[np.floating]]] = []
        self._held = 0
        self._least = -np.inf

    def add(self, rows: Rows, values: NDArray[np.floating]) -> None:
        """Take in some rows, but for those whose value is NaN."""
        self.keep(*self.worthy(rows, values))

    def worthy(self, rows: Rows, values: NDArray[np.floating]) -> tuple[Rows, NDArray[np.floating]]:
        """Those of some rows that may be among the largest, and their values; another thread may `keep` meanwhile."""
        good = np.flatnonzero(values >= self._least)[: None if self._count else 0]
        if len(good) > self._count:
            good = good[rank(values[good], rows.keys[good], seed=self._seed, count=self._count)]
        return rows.take(good), values[good]

    def keep(self, rows: Rows, values: NDArray[np.floating]) -> None:
        """Take in rows that are `worthy`."""
        if len(rows):
            self._parts.append((rows, values))
            self._held += len(rows)
        if self._held > 2 * self._count:
            self._compact()
        elif self._held >= self._count and len(rows):
            values = np.concatenate([part for _, part in self._parts])
            self._least = float(np.partition(values, self._held - self._count)[self._held - self._count])

    def join(self, other: Top) -> None:
        """Take in what another one holds, of other rows."""
        for rows, values in other._parts:
            self.add(rows, values)

    def rows(self) -> Rows | None:
        """Largest first; None where there are none."""
        if not self._parts:
            return None
        self._compact()
        return self._parts[0][0]

    def _compact(self) -> None:
        rows = Rows.together([part for part, _ in self._parts])
        values = np.concatenate([part for _, part in self._parts])
        best = rank(values, rows.keys, seed=self._seed, count=self._count)
        self._parts = [(rows.take(best), values[best])]
        self._held = len(best)
        if self._held == self._count:
            self._least = float(values[best[-1]])


@dataclass(frozen=True)
class Wanted:
    """What a pass is to find."""

    best: int
    """Rows of largest utility; none without a head, unless the strategy needs none."""
    drawn: int
    """Rows of each of two random samples: the first of the control order, and those that ``random`` would pick."""
    strategy: str
    """By whose score the best are found; one that looks at the whole pool has a stand-in, see `ordering.uncertainty`.
    """
    seed: int
    samples: int = 20
    """Dropout passes, where the strategy needs them."""
    over_classes: OverClasses = "mean"
    """How the classes of a set make one score."""
    taken: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    """Keys of the rows that are tasks already: never found."""
    known: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    """Keys of rows that are wanted whatever they score: neighbours found by earlier passes."""
    near: NDArray[np.float32] | None = None
    """Vectors of items whose neighbours are looked for ``[Q, D]``."""


@dataclass(frozen=True)
class Found:
    """What a pass found; None: nothing."""

    rows: int
    """That were looked at."""
    best: Rows | None
    """The largest utility first."""
    drawn: Rows | None
    """In control order: a uniform sample of the rows that are no tasks."""
    random: Rows | None
    """As ``random`` would ask them."""
    known: Rows | None
    near: tuple[Rows | None, ...] = ()
    """Of each item, the nearest first ``[Q]``."""

    def around(self) -> list[Rows]:
        """Neighbours: of this pass and of those before."""
        return [part for part in (self.known, *self.near) if part is not None]


class Search:
    """What was found so far. Several, each over a part of a pool, come to what one over all of it finds.

    Args:
        wanted: what to look for.
    """

    def __init__(self, wanted: Wanted) -> None:
        seed, items = wanted.seed, 0 if wanted.near is None else len(wanted.near)
        self._wanted = wanted
        self._best, self._drawn, self._random = (Top(n, seed) for n in (wanted.best, wanted.drawn, wanted.drawn))
        self._near = [Top(NEAREST, seed) for _ in range(items)]
        self._kept: list[Rows] = []
        self.rows = 0
        """That were looked at."""

    def look(
        self,
        groups: Iterable[Group],
        head: Head | None,
        *,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Search:
        """Look at each row of some groups, several at a time, as many as there are cores by default; see `one_pass`."""
        count, lock = threads or min(hardware.cores(), MOST_THREADS), Lock()
        for rows, again in _ahead(lambda group: self._look_at(group, head, lock), groups, count):
            self.rows += rows
            if again is not None:
                self._kept.append(again)
            if rows and progress is not None:
                progress(self.rows)
        return self

    def join(self, other: Search) -> None:
        """Take in what another one found in other rows, for the same wishes."""
        for top, more in zip(self._tops, other._tops, strict=True):
            top.join(more)
        self._kept += other._kept
        self.rows += other.rows

    def found(self) -> Found:
        """All of it."""
        return Found(
            self.rows,
            self._best.rows(),
            self._drawn.rows(),
            self._random.rows(),
            Rows.together(self._kept) if self._kept else None,
            tuple(top.rows() for top in self._near),
        )

    @property
    def _tops(self) -> list[Top]:
        return [self._best, self._drawn, self._random, *self._near]

    def _look_at(self, group: Group, head: Head | None, lock: Lock) -> tuple[int, Rows | None]:
        """How many rows a group has, and those that are wanted whatever they count; the `_tops` take in theirs.

        One thread does it all: the processor's cache still holds what was read, and what is read next goes to the
        memory that is freed here.
        """
        rows = group()
        if rows is None:
            return 0, None
        values, again = _looked_at(rows, self._wanted, head)
        tops = self._tops
        worthy = [top.worthy(rows, each) for top, each in zip(tops, values, strict=True)]
        with lock:
            for top, part in zip(tops, worthy, strict=True):
                top.keep(*part)
        return len(rows), rows.take(again) if again.any() else None


def one_pass(
    groups: Iterable[Group], wanted: Wanted, head: Head | None, *, progress: Callable[[int], None] | None = None
) -> Found:
    """Look at every row once.

    Args:
        groups: read ids and vectors, as `vectors.Vectors.groups` do.
        wanted: what to look for.
        head: scores the rows; None before a first model.
        progress: called with the rows behind it.
    """
    return Search(wanted).look(groups, head, progress=progress).found()


def _looked_at(rows: Rows, wanted: Wanted, head: Head | None) -> tuple[list[NDArray[np.floating]], NDArray[np.bool_]]:
    """What each row counts for each of `Search._tops`, and whether it is wanted whatever it counts.

    Rows that are tasks count NaN: to leave them out would copy all others.
    """
    taken = np.isin(rows.keys, wanted.taken)
    values = [
        _utility(rows, wanted, head),
        -draws_for(rows.keys, wanted.seed + ORDER_STREAM),
        draws_for(rows.keys, wanted.seed),
        *closeness(rows.vectors, wanted.near),
    ]
    if taken.any():
        for each in values:
            each[taken] = np.nan
    return values, np.isin(rows.keys, wanted.known) & ~taken


def _utility(rows: Rows, wanted: Wanted, head: Head | None) -> Floats:
    """NaN without a head: none is the best."""
    if head is None:
        return np.full(len(rows), np.nan)
    return utility(
        head,
        rows.vectors,
        rows.keys,
        strategy=wanted.strategy,
        samples=wanted.samples,
        seed=wanted.seed,
        over_classes=wanted.over_classes,
    )


def _ahead(work: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """Results in order; so many items are worked on, and one more waits, at a time."""
    with ThreadPoolExecutor(threads, thread_name_prefix="pool") as executor:
        waiting: deque[Future[Out]] = deque()
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
