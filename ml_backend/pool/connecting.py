"""Connect a pool to a project: a sample of it is tried against the project's question, before anything is kept."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from ml_backend.config import ProjectSettings
from ml_backend.errors import DataError, StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.pool.document import ID, PATH, Pool, connected
from ml_backend.pool.document import connect as remember
from ml_backend.pool.encoders import PoolEncoder, Raw, choose
from ml_backend.pool.fields import check_kind, columns_of, learnt_fields
from ml_backend.pool.listing import Listing, address, listing
from ml_backend.pool.source import Source, check_columns, inner, schema_of
from ml_backend.pool.tables import check_id_types
from ml_backend.pool.vectors import FOLDER
from ml_backend.rounds.encoder_choice import DOCUMENT
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore

SAMPLED: Final = 500
"""Texts of the beginning that are tried."""
PICTURES_SAMPLED: Final = 32
SHOWN: Final = 5


@dataclass(frozen=True)
class Looked:
    """A pool that can be connected."""

    pool: Pool
    encoder: PoolEncoder
    dimensions: int
    why: str
    """Why this encoder."""
    columns: Mapping[str, str]
    """All columns → their types."""
    files: int
    sampled: int
    bad: Mapping[str, int]
    """Why a row of the sample cannot be read → how many."""
    rows_per_second: float
    """That one core embeds."""
    others: Mapping[str, int] = field(default_factory=dict)
    """How the names of files end that are passed over → how many."""

    def seconds(self, cores: int) -> float:
        """That embedding all of it takes on so many cores, about."""
        return self.pool.rows / max(self.rows_per_second * cores, 1e-9)

    @property
    def bytes_needed(self) -> int:
        """On the disk of the store."""
        return self.pool.rows * self.dimensions * 2


@dataclass(frozen=True)
class WantedColumns:
    """Which columns of a table are read."""

    id_column: str = ID
    """The one that identifies each row."""
    named: Sequence[str] = ()
    """Columns for fields, as somebody named them (`fields.columns_of`); by default those with the fields' names."""
    shown: Sequence[str] = ()
    """The fields that the page shows."""


USUAL_COLUMNS: Final = WantedColumns()


def look(
    url: str,
    question: ChoiceQuestion,
    settings: ProjectSettings,
    store: ProjectStore,
    wanted: WantedColumns = USUAL_COLUMNS,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Looked:
    """Look at a pool, and try a sample of it. Nothing is kept.

    Args:
        url: a path or an address.
        question: what the project asks.
        settings: the project's.
        store: the project's: a version in use says which encoder.
        wanted: which columns are read.
        clock: seconds.

    Raises:
        ConfigurationError: the address, or a project that cannot have a pool. DataError: there is nothing that can be
            read, or nothing that fits.
    """
    found = listing(address(url))
    check_kind(found, question)
    columns = schema_of(found)
    others = {column: kind for column, kind in columns.items() if column != wanted.id_column}
    fields = columns_of(question, wanted.shown, found, others, wanted.named)
    pool = _pool(found, columns, fields, wanted.id_column, learnt_fields(question))
    check_id_types(found, pool.id_column)
    rows = found.count if pool.is_pictures else _count(pool)
    if not rows:
        raise DataError(f"{found.url} has no rows.")
    sample = sample_of(pool)
    encoder, why = encoder_of(pool, question, settings, store, sample)
    bad, speed = _tried(encoder, sample, clock)
    if len(sample) == bad.total():
        raise DataError(
            f"None of the first {len(sample):,} rows of {found.url} can be read: {bad.most_common(1)[0][0]}"
        )
    pool = replace(pool, rows=rows, connected_at=datetime.now(UTC).isoformat(timespec="seconds"))
    return Looked(
        pool, encoder, encoder.dimensions(), why, columns, found.count, len(sample), bad, speed, dict(found.others)
    )


def encoder_of(
    pool: Pool, question: ChoiceQuestion, settings: ProjectSettings, store: ProjectStore, sample: Sequence[Raw]
) -> tuple[PoolEncoder, str]:
    """The encoder that the next model of a project reads a pool through, and why.

    Raises:
        LabelConfigError, ConfigurationError: no model, or no encoder, can be used. StoreError: a document is damaged.
    """
    return choose(
        question.object_tag,
        settings,
        version=version_in_use(store),
        documented=store.document(DOCUMENT),
        sample=sample,
        parts=len(pool.learnt_from),
    )


def _tried(encoder: PoolEncoder, sample: Sequence[Raw], clock: Callable[[], float]) -> tuple[Counter[str], float]:
    """Why rows of a sample cannot be read, and how many rows a second are embedded."""
    encoder.vectors(sample[:1])  # what is loaded once is no part of the speed
    started = clock()
    _, reasons = encoder.vectors(sample)
    speed = len(sample) / max(clock() - started, 1e-6)
    return Counter(reason for reason in reasons if reason is not None), speed


def _pool(
    found: Listing, columns: Mapping[str, str], fields: Mapping[str, str], id_column: str, learnt: tuple[str, ...]
) -> Pool:
    """What is at a place, as a pool of a project. Raises DataError where its columns do not fit."""
    id_column = PATH if found.kind == "pictures" else id_column
    check_columns(columns, id_column, fields, found.url, typed=found.kind != "csv")
    used = {name: columns[name] for name in (id_column, *fields.values())}
    return Pool(found.url, found.kind, id_column, fields, used, size=found.size, learnt=learnt)


def connect(store: ProjectStore, pool: Pool, *, keep_vectors: bool = False) -> bool:
    """Remember a pool; vectors of another one are deleted, whether there were some.

    Args:
        store: of the project.
        pool: of `look`.
        keep_vectors: the pool has the same rows as the one before, in another place.

    Raises:
        StoreError: the store cannot be written.
    """
    before = connected(store)
    same = before is not None and _rows_of(before) == _rows_of(pool)
    deleted = False if same or keep_vectors else forget_vectors(store)
    if keep_vectors and not same:
        pool = replace(pool, moved_at=pool.connected_at)
    elif same and before is not None:
        pool = replace(pool, moved_at=before.moved_at)
    remember(store, pool)
    return deleted


def _rows_of(pool: Pool) -> tuple[object, ...]:
    """What tells whether two pools' vectors are the same."""
    return pool.url, pool.id_column, [(field, pool.fields.get(field)) for field in pool.learnt_from]


def forget_vectors(store: ProjectStore) -> bool:
    """Delete all vectors of a store; whether there were some.

    Raises:
        StoreError: they cannot be deleted.
    """
    folder = store.folder / FOLDER
    if not folder.exists():
        return False
    had = any(folder.glob("*/*.parquet"))
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        raise StoreError(f"Cannot delete {folder} ({exc.strerror or exc}); check MODEL_DIR.") from exc
    return had


def _count(pool: Pool) -> int:
    source = Source(pool)
    with source.reading():
        return int(source.frame(content=False).count_rows())


def sample_of(pool: Pool) -> Sequence[Raw]:
    """The contents of the first rows, as an encoder takes them.

    Raises:
        DataError: they cannot be read.
    """
    most = PICTURES_SAMPLED if pool.is_pictures else SAMPLED
    source = Source(pool)
    with source.reading():
        found = source.frame().limit(most).to_pydict()
    parts = [found[inner(name)] for name in pool.learnt_from]
    return list(zip(*parts, strict=True)) if len(parts) > 1 else parts[0]


def version_in_use(store: ProjectStore) -> Manifest | None:
    """What is known of the version in use; None before a first, or where it is damaged."""
    try:
        name = store.current().version
        return store.manifest(name) if name else None
    except StoreError:
        return None
