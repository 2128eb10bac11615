"""What is known of a project's pool on this machine: for `lsal pool status`, the dashboard and the doctor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.pool.document import Pool, connected
from ml_backend.pool.state import State, state_in
from ml_backend.pool.vectors import FOLDER, Vectors, known
from ml_backend.store.project_store import ProjectStore

SHOWN: Final = 5


@dataclass(frozen=True)
class Embedding:
    """The vectors of one encoder."""

    encoder: str
    rows: int
    """With a vector."""
    bad: int
    """That cannot be read."""
    size: int
    """Bytes."""
    reasons: tuple[tuple[str, int], ...] = ()
    """Why, and how many: the most frequent ones."""
    problem: str = ""
    """What is damaged, in a sentence; empty where nothing is."""


@dataclass(frozen=True)
class Status:
    """A pool and what was made of it. Only the store is read, not the pool."""

    pool: Pool
    embeddings: tuple[Embedding, ...]
    state: State | None
    """Of the last embedding; None where there was none."""


def _reasons(vectors: Vectors) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(reason for _, reason in vectors.bad()).most_common(SHOWN))


def status(store: ProjectStore) -> Status | None:
    """What is known of the pool; None where none is connected.

    Raises:
        StoreError: the document is damaged.
    """
    pool = connected(store)
    if pool is None:
        return None
    found = []
    for vectors in known(store):
        size = sum(path.stat().st_size for path in vectors.folder.glob("*.parquet"))
        try:
            about = vectors.about()
            name = about.encoder if about else vectors.folder.name
            found.append(Embedding(name, vectors.count(), vectors.count_bad(), size, _reasons(vectors)))
        except StoreError as exc:
            found.append(Embedding(vectors.folder.name, 0, 0, size, problem=str(exc)))
    return Status(pool, tuple(found), state_in(store.folder / FOLDER))
