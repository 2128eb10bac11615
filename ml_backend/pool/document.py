"""What a store knows of the pool that is connected to its project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from ml_backend.errors import DataError, StoreError
from ml_backend.store.documents import POOL
from ml_backend.store.project_store import ProjectStore

FORMAT: Final = 1
ID: Final = "id"
PATH: Final = "path"
"""The one column of a folder of pictures: where each lies, seen from the folder."""


@dataclass(frozen=True)
class Pool:
    """Rows outside Label Studio, each of which may become a task."""

    url: str
    """Absolute path, or an address such as ``s3://bucket/folder``; never with credentials."""
    kind: str
    """``parquet``, ``csv``, ``jsonl`` or ``pictures``."""
    id_column: str
    """Tells one row from all others."""
    fields: Mapping[str, str]
    """Field of the task's data → column."""
    schema: Mapping[str, str] = field(default_factory=dict)
    """Column → type, of the columns above, when it was connected."""
    rows: int = 0
    """When it was connected, or last looked through."""
    size: int = 0
    """Bytes of its files, when it was connected."""
    connected_at: str = ""
    moved_at: str = ""
    """When it was connected, where vectors were kept of the same rows in another place; else empty."""
    learnt: tuple[str, ...] = ()
    """Fields that are learnt from, in the order of the vectors' parts, where there are several fields."""

    @property
    def learnt_from(self) -> tuple[str, ...]:
        """Fields that are learnt from, in the order of the vectors' parts."""
        return self.learnt or tuple(self.fields)

    @property
    def is_pictures(self) -> bool:
        """Whether its rows are picture files."""
        return self.kind == "pictures"


def connected(store: ProjectStore) -> Pool | None:
    """The pool of a project; None where none is connected.

    Raises:
        StoreError: the document is damaged.
    """
    content = store.document(POOL)
    return _parsed(store, content) if content else None


def required(store: ProjectStore) -> Pool:
    """The pool of a project.

    Raises:
        DataError: none is connected. StoreError: the document is damaged.
    """
    found = connected(store)
    if found is None:
        number = store.uid.split(".", 1)[0]
        raise DataError(
            f"No pool is connected to project {number}: lsal pool connect --project {number} URL --id COLUMN"
        )
    return found


def connect(store: ProjectStore, pool: Pool) -> None:
    """Remember a pool; what was embedded of another one is left to `disconnect`. Raises StoreError."""
    store.edit_document(POOL, lambda _: {"format": FORMAT} | asdict(pool))


def disconnect(store: ProjectStore) -> None:
    """Forget the pool. Raises StoreError."""
    store.edit_document(POOL, lambda _: {})


def _parsed(store: ProjectStore, content: Mapping[str, Any]) -> Pool:
    known = {each.name for each in fields(Pool)}
    try:
        found = Pool(**{name: value for name, value in content.items() if name in known})
        found = replace(found, learnt=tuple(found.learnt))
        if not isinstance(found.fields, Mapping) or not found.fields or not isinstance(found.url, str):
            raise TypeError("no fields")
    except TypeError as exc:
        raise StoreError(f"{store.folder / POOL} is damaged ({exc}); delete it and connect the pool again.") from exc
    return found
