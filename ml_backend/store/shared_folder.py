"""Shares one project's store folder through a remote: pulls it before work begins, and pushes it afterwards.

::

    <STORE_URL>/project-<uid>/
        objects/<sha256>     contents of files; written before anything names them, never changed
        head.json            {"files": {"versions/…/model.json": {"sha256": …, "size": …, "mtime": …}, …}}
        project.json         extra params that Label Studio sent; the last writer wins
        wishes.json          what people want of the order, see `queue_overrides`
        moves.json           what was moved in the order since, see `queue_reorderings`

The head names every shared file by its content, and replacing the head is the only step that others can see. A reader
therefore sees one state completely or the one before it, even for files that change (the round log, a verdict in a
manifest), and a push that fails half-way has changed nothing. The task cache and the locks stay on each machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.files import TEMPORARY, atomic, private_folder, remove_folder
from ml_backend.store.documents import CURRENT, LOCAL_FOLDERS, Shared, how_shared
from ml_backend.store.manifest import MANIFEST_FILE
from ml_backend.store.remote import Gone, Remote, sha256
from ml_backend.store.round_lines import merge_rounds
from ml_backend.store.stored_versions import VERSIONS

HEAD: Final = "head.json"
STAGING: Final = f"{TEMPORARY}pull-"
SAFE_NAME: Final = re.compile(r"(?!.*\.\.)[\w-][\w.-]*(/[\w-][\w.-]*)*")
MOST_PULLS: Final = 5
"""A head may be replaced while it is being read; after this many times something else is wrong."""


@dataclass(frozen=True)
class Entry:
    """One shared file."""

    sha256: str
    size: int
    mtime: float
    """Time of its last change on the machine that made it, in seconds since 1970."""


@dataclass(frozen=True)
class Head:
    """The state of a project that all machines share."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    digest: str = ""
    """Digest of the head's own bytes; empty if nothing has been shared yet."""


class SharedFolder:
    """A local store folder and its place in a remote.

    Raises, from every method:
        StoreError: the remote or the local folder failed.
    """

    def __init__(self, remote: Remote, folder: Path) -> None:
        self._remote = remote
        self._folder = folder

    def head(self) -> Head:
        """What is shared now."""
        content = self._remote.read(f"{self._folder.name}/{HEAD}")
        if content is None:
            return Head()
        try:
            files = {str(name): Entry(**entry) for name, entry in json.loads(content)["files"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise self._damaged() from exc
        if not all(SAFE_NAME.fullmatch(name) for name in files):
            raise self._damaged()
        return Head(files, hashlib.sha256(content).hexdigest())

    def pull(self, *, exact: bool) -> Head:
        """Bring the local folder to the state that is shared now.

        Args:
            exact: also delete local work that was never shared, and files that readers on this machine may still be
                using. Only for the holder of the project's lock.
        """
        problem: StoreError | None = None
        for _ in range(MOST_PULLS):
            head = self.head()
            if not head.digest:  # the first push will share what is here
                return head
            try:
                self._apply(head, exact=exact)
                return head
            except Gone as exc:
                problem = exc
            except OSError as exc:
                raise StoreError(f"Cannot write to {self._folder} ({exc}); check MODEL_DIR and the disk.") from exc
        raise problem or self._damaged()

    def upload(self) -> dict[str, Entry]:
        """Store the contents of all local files that are not stored yet. They stay invisible until `push`."""
        files = scan(self._folder)
        there = self._remote.objects(self._folder.name)
        missing = {
            entry.sha256: self._folder / name for name, entry in files.items() if there.get(entry.sha256) != entry.size
        }
        self._remote.upload(self._folder.name, missing)
        return files

    def push(self, base: Head, ensure: Callable[[], None]) -> Head:
        """Share the local folder as it is.

        Args:
            base: the state that was pulled before. If somebody else has pushed since, nothing is shared.
            ensure: raises StoreError if the project's lock is no longer held.
        """
        files = scan(self._folder)
        if _hashes(files) == _hashes(base.files):
            return base
        files = self.upload()
        content = json.dumps({"files": {name: asdict(entry) for name, entry in sorted(files.items())}}).encode()
        ensure()
        if self.head().digest != base.digest:
            raise StoreError(
                f"Another machine changed {self._remote.shown}/{self._folder.name} in the meantime, so nothing was "
                "shared. Let rounds run on one machine only, or set the same REDIS_URL on all."
            )
        self._remote.replace(f"{self._folder.name}/{HEAD}", content)
        named = {entry.sha256 for entry in files.values()}
        with suppress(StoreError):  # the next push deletes what is left
            self._remote.delete(self._folder.name, set(self._remote.objects(self._folder.name)) - named)
        return Head(files, hashlib.sha256(content).hexdigest())

    def pull_loose(self, name: str) -> bool:
        """Take over a loose document. Returns whether it is shared at all."""
        content = self._remote.read(f"{self._folder.name}/{name}")
        path = self._folder / name
        try:
            if content is not None and (not path.exists() or path.read_bytes() != content):
                private_folder(path.parent)
                atomic.write_bytes(path, content)
        except OSError as exc:
            raise StoreError(f"Cannot write {path} ({exc}); check MODEL_DIR and the disk.") from exc
        return content is not None

    def push_loose(self, name: str, content: bytes) -> None:
        """Share a loose document."""
        self._remote.replace(f"{self._folder.name}/{name}", content)

    # --- the local side ----------------------------------------------------------------------------------------

    def _apply(self, head: Head, *, exact: bool) -> None:
        private_folder(self._folder)
        for left_over in self._folder.glob(f"{STAGING}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        local = scan(self._folder)
        used = set() if exact else _used(self._folder)
        changed = [name for name, entry in head.files.items() if _hash(local, name) != entry.sha256]
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=self._folder) as staging:
            for name in changed:
                private_folder((Path(staging) / name).parent)
            targets = {Path(staging) / name: head.files[name].sha256 for name in changed}
            self._remote.download(self._folder.name, targets)
            for path, name in zip(targets, changed, strict=True):
                os.utime(path, (head.files[name].mtime,) * 2)
            for name in sorted(changed, key=_turn):
                self._place(Path(staging), name)
        self._drop(
            [name for name in local if name not in head.files and how_shared(name) is not Shared.MERGED], head, used
        )

    def _place(self, staging: Path, name: str) -> None:
        staged, target = staging / name, self._folder / name
        if how_shared(name) is Shared.MERGED:
            merge_rounds(target, staged.read_text(encoding="utf-8"))
        elif name.startswith(f"{VERSIONS}/") and not target.parent.exists():
            private_folder(target.parent.parent)
            atomic.place(staged.parent, target.parent)  # a new version appears as a whole
        elif staged.exists():  # otherwise its whole version was placed already
            private_folder(target.parent)
            atomic.place(staged, target)

    def _drop(self, names: list[str], head: Head, used: set[str]) -> None:
        shared = {PurePosixPath(name).parent for name in head.files}
        for place in {PurePosixPath(name).parent for name in names} - shared:
            if place.parent.name == VERSIONS and place.name not in used:
                remove_folder(self._folder / place)  # a version is deleted as a whole, too
        for name in names:
            path = self._folder / name
            if not name.startswith(f"{VERSIONS}/") and path.stem not in used:
                path.unlink(missing_ok=True)

    def _damaged(self) -> StoreError:
        place = f"{self._remote.shown}/{self._folder.name}"
        return StoreError(
            f"{place}/{HEAD} is damaged; delete the folder {place} and run a round, which shares it again."
        )


def scan(folder: Path) -> dict[str, Entry]:
    """The files of a store folder that are shared, by their path in it."""
    found = {}
    for directory, folders, names in os.walk(folder):
        own = LOCAL_FOLDERS if directory == str(folder) else ()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in own]
        for name in names:
            path = Path(directory) / name
            if directory == str(folder) and how_shared(name) in (Shared.LOCAL, Shared.AT_ONCE):
                continue
            with suppress(FileNotFoundError):  # deleted meanwhile
                facts = path.stat()
                found[path.relative_to(folder).as_posix()] = Entry(sha256(path), facts.st_size, facts.st_mtime)
    return found


def _used(folder: Path) -> set[str]:
    """Names of the version and queue that readers may be using at this moment."""
    try:
        return {str(name) for name in json.loads((folder / CURRENT).read_bytes()).values() if name}
    except (OSError, ValueError, AttributeError):
        return set()


def _turn(name: str) -> tuple[bool, bool, bool, bool, str]:
    """Sort key for the order in which files appear: versions before the files that name them, `current.json` last."""
    return (
        name == CURRENT,
        how_shared(name) is Shared.MERGED,
        not name.startswith(f"{VERSIONS}/"),
        name.endswith(MANIFEST_FILE),
        name,
    )


def _hashes(files: Mapping[str, Entry]) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in files.items()}


def _hash(files: Mapping[str, Entry], name: str) -> str | None:
    entry = files.get(name)
    return entry.sha256 if entry else None
