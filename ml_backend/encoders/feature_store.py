"""Features on disk, by content and encoder: what one process computed, no other computes again.

Rounds, server, commands, simulation and restarts share them. The folder can be thrown away at any time: the same
features are then computed once more. A disk that fails costs time, never a round: it is said in the log, once.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.files import private_file, private_folder

log = logging.getLogger(__name__)
FOLDER: Final = "features"
"""Where an installation keeps them, beside its stores."""
DIGEST: Final = 16
PAGE_BYTES: Final = 16_384
"""Of the database: a row of 2.6 KB would waste a third of the usual page of 4 KB."""
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite says of a file that no database can be read from any more."""
AT_ONCE: Final = 500
"""Keys of one query; SQLite's limit depends on how it was built."""
BLOCK: Final = 1024
"""Items that are computed and kept together."""
READ: Final = 8192
"""Items that are read together."""
WAIT_SECONDS: Final = 30.0
"""For another process that writes."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, dtype TEXT NOT NULL, shape TEXT NOT NULL, value BLOB NOT NULL);
"""
Array = NDArray[Any]
T = TypeVar("T")


def content_key(content: bytes | str) -> bytes:
    """Stands for a text, or for the bytes of a file: equal for equal content (BLAKE2b, 16 bytes)."""
    # Half a surrogate pair is no UTF-8, but a text of a task may hold one.
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.blake2b(raw, digest_size=DIGEST).digest()


class FeatureStore:
    """Arrays by the name of what computed them and the key of the content. Safe to share between processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._failed = False

    def get(self, name: str, keys: Sequence[bytes]) -> dict[bytes, Array]:
        """The arrays that are known, of these keys.

        Args:
            name: of the encoder.
            keys: `content_key` of each item.
        """
        path = self._path(name)
        if not keys or not path.exists():
            return {}
        found: dict[bytes, Array] = {}
        try:
            with self._open(path) as db:
                for start in range(0, len(keys), AT_ONCE):
                    part = keys[start : start + AT_ONCE]
                    marks = ",".join("?" * len(part))
                    rows = db.execute(f"SELECT key, dtype, shape, value FROM rows WHERE key IN ({marks})", part)  # noqa: S608
                    found.update((bytes(key), _array(dtype, shape, value)) for key, dtype, shape, value in rows)
        except (sqlite3.Error, OSError, ValueError, TypeError) as exc:
            self._say(path, exc)
        return found

    def put(self, name: str, rows: Mapping[bytes, Array]) -> None:
        """Keep arrays by their keys."""
        if not rows:
            return
        path = self._path(name)
        content = [
            (key, value.dtype.str, ",".join(map(str, value.shape)), np.ascontiguousarray(value).tobytes())
            for key, value in rows.items()
        ]
        try:
            private_folder(self._folder)
            private_file(path)
            with self._open(path) as db, db:
                db.executemany("INSERT OR REPLACE INTO rows (key, dtype, shape, value) VALUES (?, ?, ?, ?)", content)
        except (sqlite3.Error, OSError) as exc:
            self._say(path, exc)

    def _path(self, name: str) -> Path:
        """A file an encoder; names of folders and networks may hold anything, so that a digest tells them apart."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40]
        return self._folder / (f"{plain}.sqlite" if plain == name else f"{plain}-{content_key(name).hex()[:8]}.sqlite")

    @contextmanager
    def _open(self, path: Path) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as db:
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            db.executescript(SCHEMA)
            yield db

    def _say(self, path: Path, exc: Exception) -> None:
        """Say once that it failed. A file that is no database any more makes way for a new one."""
        damaged = getattr(exc, "sqlite_errorcode", 0) & 0xFF in DAMAGED
        if damaged:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.with_name(f"{path.name}-journal").unlink(
                    missing_ok=True
                )  # of the old one: it would be played back
        with self._lock:
            known, self._failed = self._failed, True
        if not known:
            log.warning(
                "Kept features cannot be used (%s: %s); they are computed again. %s",
                path,
                type(exc).__name__,
                "The file was damaged, and is begun anew." if damaged else "Check MODEL_DIR and its disk.",
            )


def _array(dtype: str, shape: str, value: bytes) -> Array:
    sides = [int(side) for side in shape.split(",") if side]
    kind = np.dtype(dtype)
    if kind.kind not in "fiu":
        raise ValueError(f"no numbers: {dtype!r}")
    return np.frombuffer(value, dtype=kind).reshape(sides)


class _Kept:
    """Where this process keeps features; nowhere, until its edge says so."""

    store: FeatureStore | None = None


def use(folder: Path | None) -> None:
    """Keep features in a folder from now on, in the whole process; None: keep none.

    Args:
        folder: of the installation's stores; the features lie in its ``features``.
    """
    wanted = folder / FOLDER if folder is not None else None
    if _Kept.store is None or wanted is None or _Kept.store._folder != wanted:
        _Kept.store = FeatureStore(wanted) if wanted is not None else None


def kept() -> FeatureStore | None:
    """Where this process keeps features; None: nowhere."""
    return _Kept.store


def through_store(
    name: str, keys: Sequence[bytes], items: Sequence[T], compute: Callable[[Sequence[T]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Vectors ``float32 [N, D]`` of items: those that are kept, and the rest computed, and kept.

    All are rounded to 16 bits, so that it does not show which were kept.

    Args:
        name: of the encoder.
        keys: `content_key` of each item.
        items: ``N`` items.
        compute: vectors ``[M, D]`` of some items.
    """
    store, rows = kept(), np.zeros((0, 0), np.float32)
    missing: list[int] = []
    # Read in parts, so that a large pool's rows are not held as an array each.
    for start in range(0, len(keys), READ):
        part = keys[start : start + READ]
        known = store.get(name, part) if store is not None else {}
        for position, key in enumerate(part, start):
            if key in known:
                rows = rows if len(rows) else np.empty((len(keys), len(known[key])), np.float32)
                rows[position] = known[key]
            else:
                missing.append(position)
    for start in range(0, len(missing), BLOCK):  # kept block by block: a killed round goes on where it was
        places = missing[start : start + BLOCK]
        computed = compute([items[position] for position in places]).astype(np.float16)
        if store is not None:
            store.put(name, {keys[position]: row for position, row in zip(places, computed, strict=True)})
        rows = rows if len(rows) else np.empty((len(keys), computed.shape[1]), np.float32)
        rows[places] = computed
    return rows
