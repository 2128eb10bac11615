"""The pool outside Label Studio: how large it is, how much is embedded, and where the queue came from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.pool.document import connected
from ml_backend.pool.last_pass import stored
from ml_backend.pool.vectors import known
from ml_backend.store.project_store import ProjectStore


def read_outside(store: ProjectStore, problems: list[str]) -> dict[str, Any] | None:
    """``url``, ``rows``, ``embedded``, ``bad``, and ``last`` (the fields of `last_pass.LastPass`); None without a pool.

    Args:
        store: the project's store.
        problems: collects what cannot be read.
    """
    try:
        pool = connected(store)
        if pool is None:
            return None
        last = stored(store)
    except (StoreError, TypeError) as exc:
        problems.append(str(exc))
        return None
    found: dict[str, Any] = {"url": pool.url, "rows": pool.rows, "embedded": 0, "bad": 0, "last": last and asdict(last)}
    try:
        vectors = max(known(store), key=lambda each: each.count(), default=None)
        if vectors is not None:
            found |= {"embedded": vectors.count(), "bad": vectors.count_bad()}
    except (StoreError, ConfigurationError, OSError) as exc:  # also if the extra is not installed here
        problems.append(f"How much of the pool is embedded cannot be told: {exc}")
    found["rows"] = max(found["rows"], found["embedded"] + found["bad"])
    return found
