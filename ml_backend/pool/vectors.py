"""The vectors of a pool's rows, by one encoder: Parquet files beside the store.

::

    <store>/pool/<encoder>/encoder.json      `About`: which encoder, how many numbers
    <store>/pool/<encoder>/part-….parquet    id (string), key, mark, vector (`vector_columns`)
    <store>/pool/<encoder>/bad-….parquet     id (string), mark, reason (string): rows that have no vector

A mark (`source.Source.marks`) tells whether what stands in a row has changed since. A key is the id as a number
(`row_keys`), which a pass draws by; older files have none, and it is made of each id.

Each id is in one file at the most. A file appears whole or not at all, and is replaced in the same way; row groups are
read one by one, by whoever works on them, so that no more than these are in memory.

Plain encoding without compression: a vector's bits are as good as random, and reading is several times faster.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.errors import StoreError
from ml_backend.files import AtomicWriter, Staged, atomic, private_folder
from ml_backend.pool.document import ID
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.rows import Group, Rows
from ml_backend.pool.vector_columns import Half, column_of, column_of_numbers, numbers_in, vectors_in
from ml_backend.pool.vector_pages import in_memory, lying
from ml_backend.store.project_store import ProjectStore

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER: Final = "pool"
ABOUT: Final = "encoder.json"
FORMAT: Final = 1
KEY: Final = "key"
VECTOR: Final = "vector"
REASON: Final = "reason"
MARK: Final = "mark"
GROUP: Final = 34_000
"""Rows of a row group: 26 MB of 384 numbers each; three in a part of an embedding."""
PAGE: Final = 1 << 30
"""Bytes and rows of a page, at most: all vectors of a group are in one, as `vector_pages` wants them."""
BUFFER: Final = 1 << 18
"""Bytes that are read from a file at a time: they are still in the processor's cache when they are unpacked."""
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")

Marks = NDArray[np.uint64]


@dataclass(frozen=True)
class About:
    """What a folder's vectors were made by."""

    encoder: str
    made_of: str
    """The encoder and, of one in a folder, which of its files: others make other vectors."""
    dimensions: int


class Vectors:
    """The vectors in a folder.

    Args:
        folder: of `folder_of`.
        writer: writes the files.

    Raises, from every method:
        StoreError: a file is damaged, or cannot be written.
    """

    def __init__(self, folder: Path, *, writer: AtomicWriter = atomic) -> None:
        self.folder = folder
        self._writer = writer

    def about(self) -> About | None:
        """What they were made by; None where there are none yet."""
        try:
            content = json.loads((self.folder / ABOUT).read_bytes())
            return About(str(content["encoder"]), str(content["made_of"]), int(content["dimensions"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise self._damaged(self.folder / ABOUT, exc, whole=True) from exc

    def parts(self) -> list[Path]:
        """The files with vectors."""
        return sorted(self.folder.glob("part-*.parquet"))

    def alike(self) -> list[list[Path]]:
        """The `parts`, those together whose columns are of the same types: an older one holds lists."""
        found: dict[str, list[Path]] = {}
        for path in self.parts():
            with self._reading(path):
                kind = str(_parquet().read_schema(path).field(VECTOR).type)
            found.setdefault(kind, []).append(path)
        return list(found.values())

    def count(self) -> int:
        """How many rows have a vector."""
        return self._count("part")

    def count_bad(self) -> int:
        """How many rows have none, and a reason."""
        return self._count("bad")

    def bad(self) -> Iterator[tuple[str, str]]:
        """Rows without a vector: id and reason."""
        for path in self._files("bad"):
            for row in self._table(path, [ID, REASON]).to_pylist():
                yield row[ID], row[REASON]

    def ids(self) -> Iterator[pa.Array]:
        """The ids of all rows, with a vector or without, in batches."""
        for path in (*self._files("part"), *self._files("bad")):
            yield from self._table(path, [ID]).column(ID).chunks

    def marks(self) -> Iterator[tuple[pa.Array, Marks]]:
        """The ids of all rows as `ids`, each with its mark; 0 where a file has none."""
        for path in (*self._files("part"), *self._files("bad")):
            with self._reading(path):
                there = MARK in _parquet().read_schema(path).names
            table = self._table(path, [ID, MARK] if there else [ID]).combine_chunks()
            ids = table.column(ID).combine_chunks()
            yield ids, table.column(MARK).to_numpy() if there else np.zeros(len(ids), np.uint64)

    def groups(self, files: Sequence[Path] | None = None) -> Iterator[Group]:
        """All vectors, or those of some of the `parts`, a row group at a time; each is read where it is called."""
        for path in self.parts() if files is None else files:
            try:
                with self._reading(path):
                    count = _parquet().read_metadata(path).num_row_groups
            except FileNotFoundError:
                continue
            yield from (partial(self._group, path, group) for group in range(count))

    def batches(self) -> Iterator[tuple[pa.Array, Half]]:
        """What the groups hold, one after the other: ids ``[n]`` and vectors ``[n, D]``."""
        yield from ((rows.ids, in_memory(rows.vectors)) for group in self.groups() if (rows := group()) is not None)

    def start(self, about: About) -> None:
        """Make the folder."""
        with self._writing(self.folder / ABOUT):
            private_folder(self.folder)
            self._writer.write_json(self.folder / ABOUT, {"format": FORMAT} | asdict(about))

    def add(self, ids: pa.Array, vectors: Half, marks: Marks | None = None) -> None:
        """Keep some rows, all or none: ids ``[n]``, none of them here yet, vectors ``[n, D]``, and marks ``[n]``."""
        pa = _arrow()
        known = np.zeros(len(vectors), np.uint64) if marks is None else marks
        self.add_table(pa.table({ID: pa.array(ids), MARK: pa.array(known), VECTOR: column_of(vectors)}))

    def add_table(self, rows: pa.Table) -> None:
        """Keep some rows, all or none: ``id``, ``mark`` and ``vector`` (of `column_of`), none of them missing."""
        pa = _arrow()
        keys = pa.chunked_array([column_of_numbers(row_keys(ids)) for ids in rows[ID].chunks], pa.int64())
        kinds = {ID: pa.string(), KEY: pa.int64(), MARK: pa.uint64(), VECTOR: rows.schema.field(VECTOR).type}
        schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])
        table = rows.append_column(KEY, keys).select(schema.names).cast(schema)
        self._write(self.folder / f"part-{uuid4().hex[:12]}.parquet", table)

    def add_bad(self, ids: Sequence[str], reasons: Sequence[str], marks: Marks | None = None) -> None:
        """Keep why some rows have no vector, all or none."""
        pa = _arrow()
        known = np.zeros(len(ids), np.uint64) if marks is None else marks
        table = pa.table({ID: pa.array(ids, pa.string()), MARK: known, REASON: pa.array(reasons, pa.string())})
        self._write(self.folder / f"bad-{uuid4().hex[:12]}.parquet", table)

    def drop(self, keep: Any) -> int:
        """Take rows out, a file at a time; how many.

        Args:
            keep: called with ids (a `pyarrow.Array`), says which stay ``bool [n]``.
        """
        pa, dropped = _arrow(), 0
        for path in (*self._files("part"), *self._files("bad")):
            stays = np.asarray(keep(self._table(path, [ID]).column(ID).combine_chunks()), dtype=np.bool_)
            if stays.all():
                continue
            dropped += int((~stays).sum())
            if not stays.any():
                with self._writing(path):
                    path.unlink(missing_ok=True)
            else:
                self._write(path, self._table(path, None).filter(pa.array(stays)))
        return dropped

    def drop_bad(self) -> None:
        """Forget which rows have none, so that they are read again."""
        for path in self._files("bad"):
            with self._writing(path):
                path.unlink(missing_ok=True)

    # --- files ------------------------------------------------------------------------------------------------

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.folder.glob(f"{kind}-*.parquet"))

    def _count(self, kind: str) -> int:
        total = 0
        for path in self._files(kind):
            with self._reading(path):
                total += _parquet().read_metadata(path).num_rows
        return total

    def _table(self, path: Path, columns: list[str] | None) -> pa.Table:
        with self._reading(path):
            return _parquet().read_table(path, columns=columns)

    def _group(self, path: Path, group: int) -> Rows | None:
        """A row group; None where its file was taken away meanwhile."""
        try:
            with self._reading(path):
                file = _arrow().OSFile(str(path))
                parquet = _parquet().ParquetFile(file, buffer_size=BUFFER)
                vectors = lying(file, parquet.metadata, group, VECTOR, partial(self._reading, path))
                names = [ID, KEY] if vectors is not None else [ID, KEY, VECTOR]
                table = parquet.read_row_group(group, columns=names, use_threads=False).combine_chunks()
                keys = numbers_in(table.column(KEY).chunk(0)) if KEY in table.column_names else None
                rows = vectors_in(table.column(VECTOR).chunk(0)) if vectors is None else vectors
                return Rows.of(table.column(ID).chunk(0), rows, keys)
        except FileNotFoundError:
            return None

    def _write(self, path: Path, table: pa.Table) -> None:
        def write(staged: Staged) -> None:
            plain = {"compression": "none", "use_dictionary": False, "write_statistics": False, "data_page_size": PAGE}
            if "max_rows_per_page" in signature(_parquet().write_table).parameters:  # older ones have no limit
                plain["max_rows_per_page"] = PAGE
            _parquet().write_table(table, staged, row_group_size=GROUP, **plain)

        with self._writing(path):
            self._writer.write_with(path, write)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StoreError(
                f"Cannot write {path} ({exc.strerror or exc}); what was embedded before is kept. Make room on the "
                "disk, or move MODEL_DIR, and call lsal pool embed again: it goes on from there."
            ) from exc

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, IndexError) as exc:  # pyarrow's errors are kinds of these
            raise self._damaged(path, exc) from exc

    def _damaged(self, path: Path, exc: Exception, *, whole: bool = False) -> StoreError:
        what = f"the folder {path.parent}" if whole else "it"
        reason = " ".join(str(exc).split())[:200]
        return StoreError(
            f"{path} is damaged ({reason}); delete {what} and call lsal pool embed: its rows are made again."
        )


def folder_of(store: ProjectStore, encoder: str) -> Path:
    """Where the vectors of an encoder lie; its name may hold anything, and a digest then tells it from others."""
    plain = encoder
    if not PLAIN_NAME.fullmatch(encoder):
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", encoder).strip("-")[:40]
        plain = f"{slug}-{hashlib.sha256(encoder.encode()).hexdigest()[:8]}"
    return store.folder / FOLDER / plain


def known(store: ProjectStore) -> list[Vectors]:
    """All vectors that a store has, by whatever encoder."""
    return [Vectors(path.parent) for path in sorted((store.folder / FOLDER).glob(f"*/{ABOUT}"))]


def _arrow() -> Any:
    return extras.require("A pool", "pyarrow")


def _parquet() -> Any:
    return extras.require("A pool", "pyarrow", "pyarrow.parquet")
