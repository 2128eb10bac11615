"""Embed a pool: a vector for each of its rows, made once, and kept beside the store.

It may be killed at any moment: what is in a file is kept, the rest is made by the next call. A row is known by its id;
where something else stands in it than before, it gets a new vector.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ml_backend.errors import StoreError
from ml_backend.files import FILE_MODE, private_folder, size_in_words
from ml_backend.hardware import Hardware
from ml_backend.pool import workers
from ml_backend.pool.document import ID
from ml_backend.pool.encoders import PoolEncoder
from ml_backend.pool.engine import WorkerLost, cores, reading
from ml_backend.pool.ledger import Ledger, hashes_of, ledger_of, look_through
from ml_backend.pool.source import Source, inner
from ml_backend.pool.state import State, tell
from ml_backend.pool.tables import check_id_types
from ml_backend.pool.vectors import MARK, REASON, VECTOR, About, Vectors
from ml_backend.records import Progress, no_progress
from ml_backend.store.folder import StoreLock

if TYPE_CHECKING:
    import pyarrow as pa

LOCK: Final = "lock"
PART_ROWS: Final = 100_000
PART_SECONDS: Final = 60.0
"""What a kill may cost, beside what the workers have in hand."""
CHANCES: Final = 3
"""That an embedding has on a Ray cluster that loses machines; each goes on where the one before was."""
MOST_GONE: Final = 0.5
"""Share of the embedded rows that may be gone before somebody must say that this is meant."""
SPARE: Final = 1.05
"""Of the bytes of vectors: ids and the files' own."""


class PoolLock(StoreLock):
    """One at a time embeds a project's pool; rounds go on meanwhile."""

    refused = "Another process is embedding this pool"


@dataclass(frozen=True)
class EmbedOptions:
    """How to embed."""

    hardware: Hardware = field(default_factory=Hardware)
    encoder_folders: tuple[Path, ...] = ()
    workers: int = 0
    """Processes; 0: as many as this process may use cores, and one for a GPU."""
    retry_bad: bool = False
    """Read rows again that could not be read before."""
    allow_gone: bool = False
    """Take rows out that are gone, also where they are more than `MOST_GONE`."""
    seconds: float = math.inf
    """After which it stops; another call goes on."""
    part_rows: int = PART_ROWS
    part_seconds: float = PART_SECONDS


@dataclass(frozen=True)
class Embedded:
    """What an embedding did."""

    rows: int
    """In the pool."""
    new: int
    """That got a vector now."""
    bad: int
    """That could not be read now."""
    gone: int
    """That were taken out: the pool has them no more."""
    changed: int
    """That something else stands in than when they were embedded; they are among the new ones, or the bad ones."""
    left: int
    """That have no vector yet, since the time was up."""
    seconds: float
    """Of embedding alone, what it takes to look through the ids aside."""


def lock(vectors: Vectors) -> PoolLock:
    """Keep others from embedding the pool meanwhile.

    Raises:
        StoreError: another one does, or the disk cannot be written.
    """
    place = vectors.folder.parent
    try:
        private_folder(place)
    except OSError as exc:
        raise StoreError(f"Cannot write to {place} ({exc.strerror or exc}); check MODEL_DIR and the disk.") from exc
    return PoolLock(str(place / LOCK), timeout=0, mode=FILE_MODE)


def embed(
    source: Source,
    vectors: Vectors,
    encoder: PoolEncoder,
    options: EmbedOptions | None = None,
    *,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.monotonic,
) -> Embedded:
    """Give each row of a pool that has none, or has changed, a vector, and take those out that are gone.

    Args:
        source: the pool.
        vectors: where they are kept.
        encoder: makes them.
        options: how.
        progress: called with rows that are done, and rows that are to be done, now and then.
        clock: seconds.

    Raises:
        DataError: the pool cannot be read, or is no longer what it was. StoreError: another one embeds it, most of its
            rows are gone, another encoder made the vectors, or the disk is full. ConfigurationError: the encoder
            cannot be loaded.
    """
    options = options or EmbedOptions()
    with lock(vectors):
        source.check()
        check_id_types(source.listing, source.pool.id_column)
        _begin(vectors, encoder.about())
        if options.retry_bad:
            vectors.drop_bad()
        before = ledger_of(vectors.marks())
        ledger = look_through(source, marked=len(before) > 0, meanwhile=None if len(before) else encoder.prepare)
        known = before.only(~before.differs(ledger))
        gone = _take_out(vectors, before, known, ledger, allowed=options.allow_gone)
        missing = int((~known.has(ledger.hashes)).sum())
        _check_room(vectors, missing)
        done = _Keeper(vectors, missing, options, progress, clock)
        for chance in range(CHANCES if missing else 0):
            try:
                done.run(_plan(source, encoder, known, missing, options), source)
                break
            except WorkerLost:
                if chance == CHANCES - 1:
                    raise
                known = ledger_of(vectors.marks())
        done.finish()
        changed = len(before) - len(known)
        return Embedded(len(ledger), done.new, done.bad, gone, changed, done.left, done.seconds)


def _begin(vectors: Vectors, about: About) -> None:
    there = vectors.about()
    if there is None:
        vectors.start(about)
    elif there != about:
        raise StoreError(
            f"The vectors in {vectors.folder} were made by {there.made_of} ({there.dimensions} numbers each), and the "
            f"encoder is now {about.made_of} ({about.dimensions}): delete the folder, and call lsal pool embed again."
        )


def _take_out(vectors: Vectors, before: Ledger, known: Ledger, ledger: Ledger, *, allowed: bool) -> int:
    """Take out what is gone or has changed; how many are gone."""
    gone = int((~ledger.has(before.hashes)).sum())
    if gone > MOST_GONE * len(before) and not allowed:
        raise StoreError(
            f"{gone:,} of {len(before):,} rows that were embedded are not in the pool any more; nothing was changed. "
            "Is it the right place, and all of it? If so: lsal pool embed --allow-gone."
        )
    if gone or len(known) < len(before):
        vectors.drop(lambda ids: ledger.has(hashes := hashes_of(ids)) & known.has(hashes))
    return gone


def _check_room(vectors: Vectors, rows: int) -> None:
    about = vectors.about()
    needed = int(rows * (about.dimensions if about else 0) * 2 * SPARE)
    free = shutil.disk_usage(vectors.folder).free
    if needed > free:
        raise StoreError(
            f"{rows:,} vectors take {size_in_words(needed)}, and the disk of {vectors.folder} has "
            f"{size_in_words(free)} left: make room, or move MODEL_DIR. Nothing was changed."
        )


def _plan(source: Source, encoder: PoolEncoder, known: Ledger, rows: int, options: EmbedOptions) -> Any:
    one = options.hardware.device == "cuda"
    with reading(source.pool.url):
        frame = source.frame(shown=False, marked=True, new=workers.is_new(known) if len(known) else None)
        return workers.embedded(
            frame,
            [inner(name) for name in source.pool.learnt_from],
            encoder,
            rows=rows,
            workers=options.workers or (1 if one else cores()),
            hardware_=options.hardware,
            encoder_folders=options.encoder_folders,
        )


class _Keeper:
    """Takes rows as they come, and puts them into files."""

    def __init__(
        self,
        vectors: Vectors,
        missing: int,
        options: EmbedOptions,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self.new = self.bad = 0
        self._vectors, self._missing, self._options = vectors, missing, options
        self._progress, self._clock = progress, clock
        self._started = self._kept_at = clock()
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._taken = 0
        self._written: Future[tuple[int, int]] | None = None
        """Of the part that is being written, while the workers make the next."""

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._started

    @property
    def left(self) -> int:
        """Rows that are to be done."""
        return self._missing - self.new - self.bad

    def run(self, plan: Any, source: Source) -> None:
        """Keep all that a plan gives, or what it gave until the time was up, or it was broken off."""
        self._tell()
        with ThreadPoolExecutor(1, thread_name_prefix="pool") as self._writer:
            try:
                with source.reading():
                    for batch in plan.to_arrow_iter():
                        self._take(batch)
                        if self.seconds > self._options.seconds:
                            break
            finally:
                self._keep()
                self._settle()

    def finish(self) -> None:
        """Say that it is done, or how far it came."""
        self._tell(finished=not self.left)

    def _take(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += len(batch)
        self._taken += len(batch)
        late = self._clock() - self._kept_at > self._options.part_seconds
        if self._rows >= self._options.part_rows or late:
            self._keep()
        self._progress(self._taken, self._missing)

    def _keep(self) -> None:
        """Have what was taken written; one part at a time."""
        import pyarrow as pa

        self._settle()
        if self._waiting:
            rows = pa.Table.from_batches(self._waiting)
            self._waiting, self._rows, self._kept_at = [], 0, self._clock()
            self._written = self._writer.submit(self._write, rows)

    def _write(self, rows: pa.Table) -> tuple[int, int]:
        """How many of some rows have a vector, and how many have none."""
        good, bad = rows, rows.slice(0, 0)
        if rows[VECTOR].null_count:
            good, bad = rows.filter(rows[VECTOR].is_valid()), rows.filter(rows[VECTOR].is_null())
        if len(good):
            self._vectors.add_table(good)
        if len(bad):
            self._vectors.add_bad(bad[ID].to_pylist(), bad[REASON].to_pylist(), bad[MARK].to_numpy())
        return len(good), len(bad)

    def _settle(self) -> None:
        """Wait for the part that is being written."""
        written, self._written = self._written, None
        if written is not None:
            good, bad = written.result()
            self.new, self.bad = self.new + good, self.bad + bad
            self._tell()

    def _tell(self, *, finished: bool = False) -> None:
        done, seconds = self.new + self.bad, self.seconds
        tell(
            self._vectors.folder, State.of(self._vectors.folder.name, done, self._missing, self.bad, seconds, finished)
        )
