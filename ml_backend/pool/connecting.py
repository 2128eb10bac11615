"""Connect a pool to a project: a sample of it is tried against the project's question, before anything is kept."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from ml_backend.config import ProjectSettings
from ml_backend.errors import ConfigurationError, DataError, StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.pool.document import ID, PATH, Pool, connected
from ml_backend.pool.document import connect as remember
from ml_backend.pool.encoders import PoolEncoder, choose
from ml_backend.pool.engine import reading
from ml_backend.pool.listing import Listing, address, listing
from ml_backend.pool.source import TEXTS, Source, check_columns, inner, schema_of
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

    def seconds(self, cores: int) -> float:
        """That embedding all of it takes on so many cores, about."""
        return self.pool.rows / max(self.rows_per_second * cores, 1e-9)

    @property
    def bytes_needed(self) -> int:
        """On the disk of the store."""
        return self.pool.rows * self.dimensions * 2


def look(
    url: str,
    question: ChoiceQuestion,
    settings: ProjectSettings,
    store: ProjectStore,
    *,
    id_column: str = ID,
    field_column: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Looked:
    """Look at a pool, and try a sample of it. Nothing is kept.

    Args:
        url: a path or an address.
        question: what the project asks.
        settings: the project's.
        store: the project's: a version in use says which encoder.
        id_column: of a table.
        field_column: the column of the question's field; None: the one of its name.
        clock: seconds.

    Raises:
        ConfigurationError: the address, or a project that cannot have a pool. DataError: there is nothing that can be
            read, or nothing that fits.
    """
    found = listing(address(url))
    _check_kind(found, question)
    columns = schema_of(found)
    pool = _pool(found, columns, question, id_column, field_column)
    rows = found.count if pool.is_pictures else _count(pool)
    if not rows:
        raise DataError(f"{found.url} has no rows.")
    sample = sample_of(pool)
    encoder, why = choose(
        question.object_tag, settings, version=version_in_use(store), documented=store.document(DOCUMENT), sample=sample
    )
    dimensions = encoder.dimensions()
    encoder.vectors(sample[:1])  # what is loaded once is no part of the speed
    started = clock()
    _, reasons = encoder.vectors(sample)
    speed = len(sample) / max(clock() - started, 1e-6)
    bad = Counter(reason for reason in reasons if reason is not None)
    if len(sample) == bad.total():
        raise DataError(
            f"None of the first {len(sample):,} rows of {found.url} can be read: {bad.most_common(1)[0][0]}"
        )
    pool = replace(pool, rows=rows, connected_at=datetime.now(UTC).isoformat(timespec="seconds"))
    return Looked(pool, encoder, dimensions, why, columns, found.count, len(sample), bad, speed)


def _pool(
    found: Listing, columns: Mapping[str, str], question: ChoiceQuestion, id_column: str, field_column: str | None
) -> Pool:
    """What is at a place, as a pool of a project. Raises DataError where its columns do not fit."""
    if found.kind == "pictures":
        id_column, fields = PATH, {question.field: PATH}
    else:
        fields = {question.field: field_column or _column(question.field, id_column, columns, found.url)}
    check_columns(columns, id_column, fields, found.url)
    used = {name: columns[name] for name in (id_column, *fields.values())}
    return Pool(found.url, found.kind, id_column, fields, used, size=found.size)


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
    same = before is not None and (before.url, before.id_column, before.fields) == (
        pool.url,
        pool.id_column,
        pool.fields,
    )
    deleted = False if same or keep_vectors else forget_vectors(store)
    remember(store, pool)
    return deleted


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


def _check_kind(found: Listing, question: ChoiceQuestion) -> None:
    if question.by_url or question.encoding != "none":
        raise ConfigurationError(
            "The project's texts are addresses or encoded (valueType or encoding in the labeling config); rows of a "
            "pool are plain texts. Take that out of the labeling config."
        )
    if question.object_tag not in ("Image", "Text") or question.markup or question.multiple:
        raise ConfigurationError(
            "A pool is for one choice over one <Image> or one plain <Text>; this project's question is over several "
            "objects, over HTML or paragraphs, or takes several choices."
        )
    if question.object_tag == "Image" and found.kind != "pictures":
        raise DataError(
            f"The project shows images, and {found.url} holds {found.kind}; name a folder of picture files."
        )
    if question.object_tag != "Image" and found.kind == "pictures":
        raise DataError(f"The project shows texts, and {found.url} holds pictures; name a table.")


def _column(field: str, id_column: str, columns: Mapping[str, str], url: str) -> str:
    """The column of a field: the one of its name, else the only one with texts."""
    if field in columns:
        return field
    texts = [name for name, kind in columns.items() if kind in TEXTS and name != id_column]
    if len(texts) == 1:
        return texts[0]
    named = ", ".join(map(repr, texts)) or "none"
    raise DataError(
        f"{url} has no column {field!r}, which the labeling config shows; columns with texts: {named}. Name one with "
        "--column."
    )


def _count(pool: Pool) -> int:
    with reading(pool.url):
        return int(Source(pool).frame(content=False).count_rows())


def sample_of(pool: Pool) -> Sequence[bytes | str]:
    """The contents of the first rows; an empty one counts as an empty text. Raises DataError."""
    (name,) = pool.fields
    most = PICTURES_SAMPLED if pool.is_pictures else SAMPLED
    with reading(pool.url):
        found: list[Any] = Source(pool).frame().limit(most).to_pydict()[inner(name)]
    return ["" if value is None else value for value in found]


def version_in_use(store: ProjectStore) -> Manifest | None:
    """What is known of the version in use; None before a first, or where it is damaged."""
    try:
        name = store.current().version
        return store.manifest(name) if name else None
    except StoreError:
        return None
