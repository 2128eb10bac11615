"""Files as bytes and as UTF-8 text, with errors that name the place; whole writes; who may read; fingerprints.

All that is kept is written here; `tests/unit/test_writers.py` reads the sources for any other way.

A file is written whole or not at all: into a temporary folder beside it, then to the disk, then by one rename into its
place, and the rename to the disk as well. Readers see the old content or all of the new, also after a power cut. A
writer that fails removes what it began; one that is killed leaves a folder named ``.tmp-…``, which nobody reads.

What the product keeps holds texts and images of tasks: it is for the user alone who runs the product.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NewType

from ml_backend.errors import DataError

TEMPORARY: Final = ".tmp-"
"""How the names of unfinished files and folders begin."""

Staged = NewType("Staged", Path)
"""A path that an `AtomicWriter` gave out, or one below it: what is written there comes to its place whole."""


FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
OTHERS: Final = 0o077
"""What these leave out: group and all others."""


def private_folder(path: Path) -> None:
    """Make a folder, and what is missing above it, for this user alone; one that is there stays. Raises OSError."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def private_file(path: Path) -> None:
    """Make an empty file for this user alone where there is none; close one that is there to others. Raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
    except FileExistsError:
        keep_private(path)  # not opened: closing it would let go of the locks that SQLite holds on it in this process


def keep_private(root: Path) -> None:
    """Close a folder, and all that is in it, to others, as far as it is ours; older versions left it open."""
    for path in (root, *root.rglob("*")):
        with suppress(OSError):  # another user's, or gone in the meantime
            if not path.is_symlink() and (mode := stat.S_IMODE(path.stat().st_mode)) & OTHERS:
                path.chmod(mode & ~OTHERS)


def sync(path: Path) -> None:
    """Have the disk keep a file's content, or a folder's names. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class AtomicWriter:
    """Puts files and folders in their places, whole or not at all. The folder above must exist.

    Several may write one path at once: the last rename counts.

    Raises, from every method:
        OSError: it cannot be written; what was there before is unchanged.
    """

    private: bool = True
    """For this user alone; else as the umask says."""
    sync: Callable[[Path], None] = sync
    rename: Callable[[Path, Path], None] = os.replace

    def write_with(self, path: Path, write: Callable[[Staged], object]) -> None:
        """Let a function write the file: it gets the path to write to, which has the same name."""
        with _staging(path.parent) as staging:
            finished = Staged(staging / path.name)
            write(finished)
            self.place(finished, path)

    def write_folder(self, path: Path, write: Callable[[Staged], object]) -> None:
        """Let a function fill a new folder: it gets the folder to fill. ``path`` must be new or empty."""
        with _staging(path.parent) as staging:
            finished = Staged(staging / path.name)
            finished.mkdir()
            write(finished)
            self.place(finished, path)

    def write_together(self, folder: Path, write: Callable[[Staged], object]) -> None:
        """Let a function write several files for a folder: it gets one to fill; none is placed before all are there."""
        with _staging(folder) as staging:
            write(staging)
            for finished in sorted(staging.iterdir()):
                self.place(finished, folder / finished.name)

    def write_bytes(self, path: Path, content: bytes) -> None:
        """Write bytes."""
        self.write_with(path, lambda staged: staged.write_bytes(content))

    def write_text(self, path: Path, text: str) -> None:
        """Write text as UTF-8, its line ends as they are."""
        self.write_bytes(path, text.encode())

    def write_json(self, path: Path, content: Any) -> None:
        """Write JSON. Raises TypeError where ``content`` is none."""
        self.write_text(path, json.dumps(content))

    def place(self, finished: Path, path: Path) -> None:
        """Move a finished file or folder, on the same disk, to its place."""
        for part in sorted(finished.rglob("*")):
            self._close(part)
            self.sync(part)
        self._close(finished)
        self.sync(finished)  # before the rename: a power cut must not leave a name without content
        self.rename(finished, path)
        with suppress(OSError):  # it is in its place; some network file systems cannot sync a folder
            self.sync(path.parent)

    def _close(self, path: Path) -> None:
        if self.private:
            path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)


atomic: Final = AtomicWriter()
"""Writes what the product keeps."""
for_people: Final = AtomicWriter(private=False)
"""Writes what somebody asked for: an export, a report."""


@contextmanager
def _staging(folder: Path) -> Iterator[Staged]:
    """A folder for what is not finished yet; what is left in it at the end is removed."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder, ignore_cleanup_errors=True) as staging:
        yield Staged(Path(staging))


def _private(path: str, flags: int) -> int:
    """Open a file; one that is new is for this user alone."""
    return os.open(path, flags, FILE_MODE)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file and see it to the disk. Killed meanwhile, it may leave half a line at the end.

    Raises:
        OSError: it cannot be written.
    """
    with open(path, "a", encoding="utf-8", opener=_private) as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def remove_folder(path: Path) -> None:
    """Remove a folder: a reader sees all of it or nothing, also while it is deleted.

    Raises:
        OSError: it cannot be moved aside; nothing was changed.
    """
    gone = path.with_name(f"{TEMPORARY}{path.name}")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise DataError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        DataError: it cannot be read or is in another encoding; the message names the line.
    """
    raw = read_bytes(path)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16; save it as UTF-8 and try again")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{exc.object[exc.start]:02x} is not UTF-8 (Latin-1 or Windows-1252?); "
            "save the file as UTF-8 and try again"
        ) from exc
    if "\0" in text:
        raise DataError(
            f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; this is no text file"
        )
    return text


def fingerprint(content: Any) -> str:
    """SHA-256 of JSON-like content, the same whatever the order of its mappings; other objects count as their text."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def size_in_words(count: int) -> str:
    """So many bytes, for people: ``5.4 MB``."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
