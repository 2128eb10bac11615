"""Limits for the size of requests."""

from __future__ import annotations

from typing import Final

from ml_backend.bounded_json import MEGABYTE

LARGE_BODY: Final = 32 * MEGABYTE
"""Bytes of a request with tasks, which Label Studio sends with their data."""
SMALL_BODY: Final = 4 * MEGABYTE
"""Bytes of any other request."""
STRANGERS_BODY: Final = 64 * 1024
"""Bytes that are read of a request without a valid password: enough to answer it properly."""
LARGE_PATHS: Final = frozenset({"/predict", "/webhook"})
MOST_TASKS: Final = 5_000
"""Tasks in one /predict; Label Studio sends 100 at most."""
LARGEST_ID: Final = 2**63 - 1
"""Largest id of a task or project that a database of Label Studio can hold."""


def body_limit(path: str) -> int:
    """Largest body in bytes of a request to this path."""
    return LARGE_BODY if path in LARGE_PATHS else SMALL_BODY
