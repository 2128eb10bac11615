"""Packs what is sent: JSON that a browser caches, and versions as zip files."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from flask import Response, request

from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import export_version

QUICK: Final = 1
"""Level of gzip. The person waits for the map, and higher levels take longer than they save."""


def compact(data: Mapping[str, Any]) -> Response:
    """JSON, compressed for clients that accept gzip; 304 if the browser has it already."""
    text = json.dumps(data, separators=(",", ":")).encode()
    response = Response(text, mimetype="application/json")
    response.set_etag(hashlib.sha256(text).hexdigest()[:32])
    response.cache_control.private = response.cache_control.no_cache = True
    response.vary.add("Accept-Encoding")
    response.make_conditional(request)
    if response.status_code == 200 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(text, QUICK, mtime=0))
        response.content_encoding = "gzip"
    return response


def zipped(store: ProjectStore, version: str) -> IO[bytes]:
    """A version with its loading example, as an open file that disappears when it is closed.

    Raises:
        StoreError: it is missing or damaged.
    """
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who sends it
    with tempfile.TemporaryDirectory() as folder:
        exported = export_version(store, version, Path(folder) / version)
        with ZipFile(archive, "w", ZIP_DEFLATED) as bundle:
            for path in sorted(exported.iterdir()):
                bundle.write(path, f"{version}/{path.name}")
    archive.seek(0)
    return archive
