"""The kinds of URL that a task may name a picture or a text by: one list for the importer and for who reads them."""

from __future__ import annotations

import base64
from typing import Final

from ml_backend.label_studio.file_paths import file_path

WEB: Final = ("http", "https")
STORAGES: Final = ("s3", "gs", "azure-blob")
"""Schemes of the storages that Label Studio connects to; it reads them with its own credentials."""
LONGEST_BASE: Final = 100
"""Characters of the path below which a Label Studio is looked for."""
KINDS: Final = "http(s)://, data:, s3://, gs://, azure-blob://, or a file of Label Studio's (/data/...)"


def scheme_of(url: str) -> str:
    """A URL's scheme in lower case; empty for a path."""
    scheme, colon, _ = url.strip()[:20].partition(":")
    return scheme.lower() if colon else ""


def is_readable(url: str) -> bool:
    """Whether the URL is of a kind that is read."""
    url, scheme = url.strip(), scheme_of(url)
    if scheme in (*WEB, *STORAGES):
        return url[len(scheme) : len(scheme) + 3] == "://" and len(url) > len(scheme) + 3
    try:
        # Of a Label Studio below a path of its own, files begin with that path, which is not known here.
        below = (url[place:] for place, letter in enumerate(url[:LONGEST_BASE]) if letter == "/")
        return scheme == "data" or (url.startswith("/") and any(file_path(path) for path in below))
    except ValueError:  # from urlsplit
        return False


def storage_path(url: str, task_id: int) -> str | None:
    """Where Label Studio serves a storage's file for a task, as its page asks for it; None for other URLs."""
    if scheme_of(url) not in STORAGES:
        return None
    scheme, _, rest = url.partition(":")
    encoded = base64.urlsafe_b64encode(f"{scheme.lower()}:{rest}".encode("utf-8", "replace")).decode("ascii")
    return f"/tasks/{task_id}/resolve/?fileuri={encoded}"
