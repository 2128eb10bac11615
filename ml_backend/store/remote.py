"""A folder at an fsspec URL: a bucket, a mounted disk, or the memory of this process.

A file written here appears as a whole (`replace`), or is named by the hash of its content, which is checked on reading
(`upload`, `download`). Error messages contain the URL without its credentials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from tenacity import Retrying, retry_if_not_exception_type, stop_after_attempt, wait_exponential

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.extras import require

ATTEMPTS: Final = 3
FIRST_WAIT: Final = 0.2
"""Seconds before the second attempt; doubled before the third."""
OBJECTS: Final = "objects"
T = TypeVar("T")


class Gone(StoreError):
    """Something that a head names is missing or has other content: somebody has replaced that head."""


class Remote:
    """One folder of files behind an fsspec URL.

    Raises, from every method:
        StoreError: it failed several times in a row; the message names the URL without credentials.
    """

    def __init__(self, url: str) -> None:
        self.shown = shown_url(url)
        fsspec = require("STORE_URL", "fsspec")
        try:
            # Listings must be fresh, because other machines write too.
            self._fs, self._base = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as exc:
            raise ConfigurationError(f"STORE_URL {self.shown} needs a package that is not installed: {exc}") from exc
        except Exception as exc:
            raise ConfigurationError(
                f"STORE_URL {self.shown} is not a URL that fsspec knows ({type(exc).__name__})."
            ) from exc

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is no such file."""
        try:
            return bytes(self._try("read", lambda: self._fs.cat_file(self._path(name))))
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in one step: readers see either the old content or the new one."""
        path = self._path(name)
        staged = f"{path}.tmp-{uuid4().hex}"

        def write() -> None:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.pipe_file(staged, content)
                self._fs.mv(staged, path)
            except BaseException:
                with suppress(Exception):  # the first error is the one to report
                    self._fs.rm_file(staged)
                raise

        self._try("write", write)

    def folders(self) -> list[str]:
        """Names of the folders in it."""
        return [name for name, entry in self._list("") if entry["type"] == "directory"]

    def objects(self, folder: str) -> dict[str, int]:
        """The stored objects: hash → size in bytes."""
        entries = self._list(f"{folder}/{OBJECTS}")
        return {name: int(entry["size"] or 0) for name, entry in entries if entry["type"] == "file"}

    def upload(self, folder: str, files: Mapping[str, Path]) -> None:
        """Store files under their hashes."""
        if not files:
            return
        targets = [self._path(f"{folder}/{OBJECTS}/{digest}") for digest in files]

        def put() -> None:
            self._fs.makedirs(self._path(f"{folder}/{OBJECTS}"), exist_ok=True)
            self._fs.put([str(path) for path in files.values()], targets)

        self._try("write", put)

    def download(self, folder: str, targets: Mapping[Path, str]) -> None:
        """Fetch objects by their hashes into local files.

        Raises:
            Gone: one of them is missing or has other content.
        """
        if not targets:
            return
        sources = [self._path(f"{folder}/{OBJECTS}/{digest}") for digest in targets.values()]
        try:
            self._try("read", lambda: self._fs.get(sources, [str(path) for path in targets]))
        except FileNotFoundError as exc:
            raise Gone(f"A file of {self.shown}/{folder} is missing.") from exc
        for path, digest in targets.items():
            if sha256(path) != digest:
                raise Gone(f"{self.shown}/{folder}/{OBJECTS}/{digest} is damaged.")

    def delete(self, folder: str, digests: set[str]) -> None:
        """Delete objects; those that no longer exist are ignored."""
        for path in [self._path(f"{folder}/{OBJECTS}/{digest}") for digest in digests]:
            with suppress(FileNotFoundError):
                self._try("delete in", partial(self._fs.rm_file, path))

    def probe(self) -> None:
        """Write, read and delete a small file."""
        name = f".doctor-{uuid4().hex}"
        self.replace(name, b"doctor")
        if self.read(name) != b"doctor":
            raise StoreError(f"The shared store {self.shown} does not return what was written to it.")
        self._try("delete in", lambda: self._fs.rm_file(self._path(name)))

    def _list(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        try:
            entries = self._try("list", lambda: self._fs.ls(self._path(folder), detail=True))
        except FileNotFoundError:
            return []
        return [(str(entry["name"]).rstrip("/").rpartition("/")[2], entry) for entry in entries]

    def _path(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}".rstrip("/")

    def _try(self, what: str, call: Callable[[], T]) -> T:
        """Call, and try again after a failure. Every error except a missing file becomes a StoreError."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(FIRST_WAIT),
            retry=retry_if_not_exception_type((FileNotFoundError, KeyboardInterrupt, SystemExit)),
            reraise=True,
        )
        try:
            return attempts(call)
        except FileNotFoundError:
            raise
        except Exception as exc:  # each filesystem has its own; their texts may contain the URL with its credentials
            reason = getattr(exc, "strerror", None) or type(exc).__name__
            raise StoreError(f"Cannot {what} the shared store {self.shown} ({reason}); check STORE_URL.") from exc


def shown_url(url: str) -> str:
    """A URL without user, password and query, which may be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
