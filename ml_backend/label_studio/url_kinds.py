"""The kinds of URL by which a task may name a picture or a text; one list for the import and for reading."""

from __future__ import annotations

import base64
from typing import Final

from ml_backend.label_studio.file_paths import file_path

WEB: Final = ("http", "https")
STORAGES: Final = ("s3", "gs", "azure-blob")
"""Schemes of the storages that Label Studio connects to, and reads with its own credentials."""
LONGEST_BASE: Final = 100
"""Characters of a URL that may be the path of a Label Studio below a proxy's path."""
KINDS: Final = "http(s)://, data:, s3://, gs://, azure-blob://, or a file of Label Studio's (/data/...)"


def scheme_of(url: str) -> str:
    """A URL's scheme in lower case; empty for a path."""
    scheme, colon, _ = url.strip()[:20].partition(":")
    return scheme.lower() if colon else ""


def is_readable(url: str) -> bool:
    """Whether the URL is of a kind that can be read."""
    url, scheme = url.strip(), scheme_of(url)
    if scheme in (*WEB, *STORAGES):
        return url[len(scheme) : len(scheme) + 3] == "://" and len(url) > len(scheme) + 3
    try:
        # Files of a Label Studio below a path of its own begin with that path, which is not known here.
        below = (url[place:] for place, letter in enumerate(url[:LONGEST_BASE]) if letter == "/")
        return scheme == "data" or (url.startswith("/") and any(file_path(path) for path in below))
    except ValueError:  # raised by urlsplit
        return False


def storage_path(url: str, task_id: int) -> str | None:
    """The path at which Label Studio's page requests a storage's file for a task; None for other URLs."""
    if scheme_of(url) not in STORAGES:
        return None
    scheme, _, rest = url.partition(":")
    encoded = base64.urlsafe_b64encode(f"{scheme.lower()}:{rest}".encode("utf-8", "replace")).decode("ascii")
    return f"/tasks/{task_id}/resolve/?fileuri={encoded}"
