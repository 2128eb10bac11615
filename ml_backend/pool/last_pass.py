"""What the last look at all rows of a pool left: the candidates in a file, and facts for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from ml_backend import extras
from ml_backend.errors import StoreError
from ml_backend.files import Staged, atomic, private_folder
from ml_backend.pool.rows import Rows
from ml_backend.pool.vector_pages import in_memory
from ml_backend.store.documents import POOL_PASS
from ml_backend.store.project_store import ProjectStore

FILE: Final = "candidates.parquet"
"""In the folder of the vectors that they were found among."""
ID, VECTOR, DATA = "id", "vector", "data"


@dataclass(frozen=True)
class LastPass:
    """Facts about one look at all rows."""

    at: str = ""
    """When, as ISO 8601."""
    version: str | None = None
    """Whose head scored; None before a first model."""
    encoder: str = ""
    rows: int = 0
    """That were looked at."""
    candidates: int = 0
    best: int = 0
    drawn: int = 0
    near: int = 0
    seconds: float = 0.0
    fed: int = 0
    """Rows that became tasks then."""
    tasks: int = 0
    """Rows that are tasks since."""
    files: str = ""
    """What the pool's files looked like when they were last embedded; empty where a round has not looked yet."""
    problem: str = ""
    """Why there was none, in a sentence; empty where all went well."""


def stored(store: ProjectStore) -> LastPass | None:
    """What the last round noted; None before a first.

    Raises:
        StoreError: the note is damaged.
    """
    content = store.document(POOL_PASS)
    known = {each.name for each in fields(LastPass)}
    return LastPass(**{name: value for name, value in content.items() if name in known}) if content else None


def note(store: ProjectStore, found: LastPass) -> None:
    """Note it. Raises StoreError."""
    store.write_document(POOL_PASS, asdict(found))


def write_candidates(folder: Path, rows: Rows, data: Sequence[Mapping[str, Any]]) -> None:
    """Keep candidates for the next round, with what their tasks would hold.

    Raises:
        StoreError: they cannot be written.
    """
    pa, parquet = extras.require("A pool", "pyarrow"), extras.require("A pool", "pyarrow", "pyarrow.parquet")
    numbers = in_memory(rows.vectors)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), numbers.shape[1])
    texts = pa.array([json.dumps(each) for each in data], pa.string())
    table = pa.table({ID: pa.array(rows.names, pa.string()), VECTOR: vectors, DATA: texts})

    def write(staged: Staged) -> None:
        parquet.write_table(table, staged)

    try:
        private_folder(folder)
        atomic.write_with(folder / FILE, write)
    except OSError as exc:
        raise StoreError(f"Cannot write {folder / FILE} ({exc}); nothing was changed.") from exc


def read_candidates(folder: Path) -> tuple[Rows, list[dict[str, Any]]] | None:
    """What the last round kept; None where that is missing or damaged: the next pass finds others."""
    path = folder / FILE
    if not path.exists():
        return None
    parquet = extras.require("A pool", "pyarrow", "pyarrow.parquet")
    try:
        table = parquet.read_table(path).combine_chunks()
        if not table.num_rows:
            return None
        column = table.column(VECTOR).chunk(0)
        vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float16).reshape(len(column), -1)
        data = [json.loads(text) for text in table.column(DATA).to_pylist()]
        return Rows.of(table.column(ID).to_pylist(), vectors), data
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
