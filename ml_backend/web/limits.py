"""How large a request may be."""

from __future__ import annotations

from typing import Final

from ml_backend.bounded_json import MEGABYTE

LARGE_BODY: Final = 32 * MEGABYTE
"""Bytes of a request with tasks: Label Studio sends them with their data."""
SMALL_BODY: Final = 4 * MEGABYTE
"""Bytes of any other request."""
STRANGERS_BODY: Final = 64 * 1024
"""Bytes that are read of a request without a right password: enough to answer it in peace."""
LARGE_PATHS: Final = frozenset({"/predict", "/webhook"})
MOST_TASKS: Final = 5_000
"""Tasks of one /predict; Label Studio sends 100 at most."""
LARGEST_ID: Final = 2**63 - 1
"""Of a task or project: more no database of Label Studio holds."""


def body_limit(path: str) -> int:
    """Bytes that a request to this path may have."""
    return LARGE_BODY if path in LARGE_PATHS else SMALL_BODY
