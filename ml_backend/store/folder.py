"""The folder of one project: its lock, and files that are read and written as a whole."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, Self

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from ml_backend.errors import BUSY, DOCUMENT_BUSY, ProjectBusy, StoreError
from ml_backend.files import FILE_MODE, TEMPORARY, AtomicWriter, atomic, private_folder
from ml_backend.store.documents import TASK_CACHE

UID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
"""Name of a version or queue. It becomes part of a path, and may come from a file that somebody else wrote."""
LARGEST_DOCUMENT = 256 * 1024 * 1024
"""Bytes; a queue of 100,000 tasks has 30 MB."""
NUMBER = re.compile(r"-(\d{4,})(?:-[0-9a-f]{8})?$")


class Sharing(Protocol):
    """What a store needs from whatever shares it between machines; see `registry.StoreRegistry`."""

    def exclusive(self, folder: Path, timeout: float) -> AbstractContextManager[None]:
        """Keep other machines out, start from the newest state, and share the result."""

    def prepare(self, folder: Path) -> None:
        """Make sure that everything a new order needs can be shared, before Label Studio is told of it."""

    def commit(self, folder: Path) -> None:
        """Share what was done so far."""

    def editing(self, folder: Path, name: str) -> AbstractContextManager[None]:
        """Keep other machines from changing a loose document, and start from its newest version."""

    def share_loose(self, folder: Path, name: str, text: str) -> None:
        """Share a document that may be written at any time, not only by the holder of the lock."""


class StoreFolder:
    """The folder of one project.

    Args:
        root: folder of all stores.
        uid: the project, as in `records.Project`.
        sharing: shares the folder with other machines; None if it exists only on this one.
        writer: writes the files.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def __init__(self, root: Path, uid: str, sharing: Sharing | None = None, *, writer: AtomicWriter = atomic) -> None:
        if not UID.fullmatch(uid):
            raise StoreError(f"{uid[:100]!r} is not a project id.")
        self.folder = root / f"project-{uid}"
        self.uid = uid
        self._sharing = sharing
        self._writer = writer

    @property
    def is_shared(self) -> bool:
        """Whether other machines may work on it too."""
        return self._sharing is not None

    @property
    def task_cache_path(self) -> Path:
        """Where the task cache lies."""
        return self.folder / TASK_CACHE

    def lock(self, *, timeout: float = 0) -> AbstractContextManager[None]:
        """Allow one writer per project across processes, and across machines if they share the store.

        Work starts from the newest shared state, and changes are shared when the lock is released.

        Args:
            timeout: seconds to wait for another writer.

        Raises:
            ProjectBusy: somebody else is at work.
            StoreError: sharing failed.
        """
        self._make_folder()
        return self._locked(timeout)

    @contextmanager
    def _locked(self, timeout: float) -> Iterator[None]:
        shared = self._sharing.exclusive(self.folder, timeout) if self._sharing else nullcontext()
        with ProjectLock(str(self.folder / "lock"), timeout=timeout, mode=FILE_MODE), shared:
            yield

    def _names(self, folder: str, suffix: str) -> list[str]:
        directory = self.folder / folder
        if not directory.is_dir():
            return []
        names = [entry.name for entry in directory.iterdir() if entry.name.endswith(suffix)]
        return [name.removesuffix(suffix) for name in names if not name.startswith(TEMPORARY)]

    def _make_folder(self) -> None:
        try:
            private_folder(self.folder)
        except OSError as exc:
            raise StoreError(f"Cannot write to {self.folder} ({exc}); check MODEL_DIR.") from exc

    def _sweep(self, folder: str) -> None:
        """Make a folder, and remove what killed writers left in it. The caller holds the lock."""
        directory = self.folder / folder
        try:
            private_folder(directory)
        except OSError as exc:
            raise StoreError(f"Cannot write to {directory} ({exc}); check MODEL_DIR and the disk.") from exc
        for left_over in directory.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left_over, ignore_errors=True)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        try:
            if path.stat().st_size > LARGEST_DOCUMENT:
                raise ValueError(f"larger than {LARGEST_DOCUMENT:,} bytes")
            content = json.loads(path.read_bytes(), parse_constant=_no_constant)
        except FileNotFoundError:
            return None
        except RecursionError as exc:
            raise self._damaged(name, ValueError("nested too deep")) from exc
        except (OSError, ValueError) as exc:
            raise self._damaged(name, exc) from exc
        if not isinstance(content, dict):
            raise self._damaged(name, TypeError("not a JSON object"))
        return content

    def _damaged(self, name: str, reason: Exception) -> StoreError:
        return StoreError(f"{self.folder / name} is damaged ({reason}); delete it and run a round.")

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        try:
            text = json.dumps(content, allow_nan=False)
        except ValueError as exc:
            raise StoreError(f"{self.folder / name} was not written: a number in it is not finite ({exc}).") from exc
        self._write_text(name, text)

    def _write_text(self, name: str, text: str) -> None:
        self._write(name, lambda path: self._writer.write_text(path, text))

    def _write(self, name: str, write: Callable[[Path], None]) -> None:
        path = self.folder / name
        try:
            private_folder(path.parent)
            write(path)
        except (OSError, SafetensorError) as exc:  # safetensors has its own error for a full disk
            raise StoreError(f"Cannot write {path} ({exc}); nothing was changed.") from exc


class StoreLock(FileLock):
    """A file lock that raises one of this product's errors when it is taken."""

    refusal: type[StoreError] = StoreError
    refused: str = DOCUMENT_BUSY

    def __enter__(self) -> Self:
        try:
            super().__enter__()
        except Timeout as exc:
            raise self.refusal(f"{self.refused} ({self.lock_file}); try again when it is done.") from exc
        except OSError as exc:
            raise StoreError(f"Cannot write {self.lock_file} ({exc}); check MODEL_DIR and the disk.") from exc
        return self


class ProjectLock(StoreLock):
    """The lock of a project."""

    refusal = ProjectBusy
    refused = BUSY


def checked_name(name: str) -> str:
    """Check the name of a version or queue, which becomes part of a path, and return it.

    Raises:
        StoreError: as part of a path it could lead elsewhere.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise StoreError(f"{str(name)[:100]!r} is not the name of a version or queue.")
    return name


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def number_of(name: str) -> int:
    """The number in the name of a version or queue; 0 if there is none."""
    match = NUMBER.search(name)
    return int(match.group(1)) if match else 0
