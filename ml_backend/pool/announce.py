"""Rows that are becoming tasks: written down before Label Studio hears of them, and crossed out afterwards.

A round that is killed in between leaves the note. The next one looks which of the rows are tasks, and sends the others:
none is lost, none comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.errors import StoreError
from ml_backend.store.documents import POOL_BATCH
from ml_backend.store.project_store import ProjectStore

ROW_FIELD: Final = "pool_id"
"""Field of a task's data that holds the id of its row."""


def announce(store: ProjectStore, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note the data of the tasks to come.

    Raises:
        StoreError: it cannot be written; then nothing may be sent.
    """
    store.write_document(POOL_BATCH, {"rows": [dict(row) for row in rows]})
    store.share_now()


def announced(store: ProjectStore) -> list[dict[str, Any]]:
    """What was announced and never crossed out; empty where nothing was.

    Raises:
        StoreError: the note is damaged.
    """
    rows = store.document(POOL_BATCH).get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) and ROW_FIELD in row for row in rows):
        raise StoreError(f"{store.folder / POOL_BATCH} is damaged; delete it and run a round.")
    return rows


def settle(store: ProjectStore) -> None:
    """Cross it out: all of it is in Label Studio.

    Raises:
        StoreError: it cannot be written; a later round finds that nothing is missing.
    """
    store.write_document(POOL_BATCH, {})
