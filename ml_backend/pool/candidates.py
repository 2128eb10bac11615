"""Which rows of a pool are worth comparing: some ten thousand, on which the ordinary strategies run.

The rows that the model is least sure of, uniform samples, and the nearest neighbours of the labelled items (SEALS,
Coleman et al. 2022). The samples are the heads of the orders in which the control arm and the strategy ``random`` go
through the whole pool: what these choose from the candidates is what they would choose from all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.pool.neighbours import Neighbours
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.rows import Rows
from ml_backend.pool.scoring import Found, Wanted
from ml_backend.selection.context import strategy_in_use

LOOK_AHEAD: Final = 2
"""Times a queue's length that the samples have at least: some of them may turn out to be unreadable."""


@dataclass(frozen=True)
class Sizes:
    """How many candidates of each kind."""

    best: int = 3_000
    drawn: int = 4_000
    """In each of the two samples. Models learn from them too, and lose where they are few (docs/benchmarks.md)."""
    near: int = 2_000

    def for_queue(self, length: int) -> Sizes:
        """Enough for a queue."""
        most = LOOK_AHEAD * length
        return Sizes(max(self.best, most), max(self.drawn, most), self.near)


@dataclass(frozen=True)
class Labelled:
    """Labelled items, in the space of the pool's vectors."""

    tasks: Sequence[int]
    vectors: Callable[[Sequence[int]], NDArray[np.float32]]
    """Of some of the tasks ``[L, D]``."""


@dataclass(frozen=True)
class Candidates:
    """The rows to compare."""

    rows: Rows | None
    """Each once, by rising number; None where there are none."""
    counts: Mapping[str, int]
    """How many of each kind, one row perhaps in several: ``best``, ``drawn``, ``near``."""
    looked_at: int
    """Rows of the pool."""
    neighbours: Neighbours

    def __len__(self) -> int:
        return 0 if self.rows is None else len(self.rows)


def find_candidates(
    search: Callable[[Wanted], Found],
    settings: ProjectSettings,
    *,
    trained: bool,
    taken: Ids,
    labelled: Labelled,
    neighbours: Neighbours,
    sizes: Sizes | None = None,
) -> Candidates:
    """Candidates, found in one pass.

    Args:
        search: looks at all rows by the version in use: `scoring.one_pass`, or `spread.spread_pass`.
        settings: the project's: strategy, samples, seed, length of a queue.
        trained: whether there is a version.
        taken: numbers of the rows that are tasks already.
        labelled: whose neighbours are wanted.
        neighbours: what earlier passes found among these vectors.
        sizes: how many of each kind, for a queue of the settings' length.
    """
    sizes = (sizes or Sizes()).for_queue(settings.queue_size)
    asked = neighbours.missing(labelled.tasks)
    known = neighbours.known(labelled.tasks, sizes.near)
    wanted = Wanted(
        best=sizes.best,
        drawn=sizes.drawn,
        strategy=strategy_in_use(settings, trained=trained),
        seed=settings.seed,
        samples=settings.samples,
        over_classes=settings.set_uncertainty,
        taken=np.sort(taken),
        known=np.sort(row_keys(known)),
        near=labelled.vectors(asked) if asked else None,
    )
    found = search(wanted)
    near = {task: [] if rows is None else rows.names for task, rows in zip(asked, found.near, strict=True)}
    neighbours = neighbours.with_found(near)
    first = set(neighbours.known(labelled.tasks, sizes.near))
    parts = [part for part in (found.best, found.drawn, found.random) if part is not None]
    around = [part.take(np.array([row in first for row in part.names], dtype=np.bool_)) for part in found.around()]
    rows = Rows.together([*parts, *around]).different() if parts or around else None
    counts = {
        "best": 0 if found.best is None else len(found.best),
        "drawn": 0 if found.drawn is None else len(found.drawn),
        "near": len({row for part in around for row in part.names}),
    }
    return Candidates(rows, counts, found.rows, neighbours)
