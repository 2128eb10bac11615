"""All stores of an installation, either in a local folder only or shared with other machines through a remote.

Readers (`get`, `open`, `known`) look at the remote every few seconds at most. If it fails, they serve what is here: a
complete state, though perhaps not the newest. Writers (`ProjectStore.lock`) start from the newest state, exclude all
other machines by a lease in Redis if there is one, and share their changes when they release the lock.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.files import FILE_MODE, keep_private, private_folder
from ml_backend.store.documents import CURRENT, Shared, named
from ml_backend.store.looks import READ_PATIENCE, Look
from ml_backend.store.project_store import EDIT_PATIENCE, ProjectStore, known_stores, open_project
from ml_backend.store.redis_locks import hold_lease
from ml_backend.store.remote import Remote
from ml_backend.store.shared_folder import Head, SharedFolder

if TYPE_CHECKING:
    from ml_backend.store.lease import Lease

log = logging.getLogger(__name__)
STORE_NAME: Final = re.compile(r"project-\d+\.\d+")
PULL_PATIENCE: Final = 600.0
"""Seconds that a writer waits for a reader on this machine that is pulling."""


@dataclass
class _Writer:
    """What the holder of a project's lock works with."""

    lease: Lease | None
    shared: SharedFolder | None = None
    head: Head = field(default_factory=Head)

    def check(self) -> None:
        if self.lease is not None:
            self.lease.check()

    def push(self) -> None:
        if self.shared is not None:
            self.head = self.shared.push(self.head, self.check)


class StoreRegistry:
    """The stores in one folder. Safe to share between threads.

    Args:
        root: MODEL_DIR.
        remote: where the stores are shared.
        redis_url: the Redis that has the locks of all machines.
        clock: monotonic seconds.
    """

    patience = READ_PATIENCE

    def __init__(
        self,
        root: Path,
        remote: Remote | None = None,
        redis_url: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = root
        self._remote = remote
        self._redis_url = redis_url
        self._clock = clock
        self._readers: dict[str, Look] = {}
        self._writers: dict[Path, _Writer] = {}
        self._listing = Look()
        self._problem = ""

    @property
    def is_remote(self) -> bool:
        """Whether the stores are shared through a remote."""
        return self._remote is not None

    # --- for readers -------------------------------------------------------------------------------------------

    def get(self, uid: str) -> ProjectStore:
        """A project's store, in the newest state that readers have.

        Raises:
            StoreError: the remote fails, and nothing of the project is stored here.
        """
        store = ProjectStore(self.root, uid, self if self._remote or self._redis_url else None)
        if self._remote is not None:
            self._refresh(self._remote, store.folder)
        return store

    def open(self, project_id: int) -> ProjectStore | None:
        """The newest store of a project of which only the id is known; None if there is none."""
        self._discover()
        found = open_project(self.root, project_id)
        return None if found is None else self.get(found.uid)

    def known(self) -> dict[int, ProjectStore]:
        """The newest store of every project, by the project's id."""
        self._discover()
        found = {}
        for project_id, store in known_stores(self.root).items():
            try:
                found[project_id] = self.get(store.uid)
            except StoreError as exc:  # the other projects are known all the same
                self._tell(exc)
                found[project_id] = store
        return found

    def _refresh(self, remote: Remote, folder: Path) -> None:
        if folder in self._writers:
            return  # the writer pulled when it took the lock, and what it writes is newer
        reader = self._readers.setdefault(folder.name, Look())
        must = not (folder / CURRENT).exists()
        reader.ask(
            lambda: self._pull(SharedFolder(remote, folder), folder, reader),
            self._clock,
            must=must,
            patience=self.patience,
        )

    def _pull(self, shared: SharedFolder, folder: Path, reader: Look) -> None:
        try:
            for name in named(Shared.AT_ONCE):
                shared.pull_loose(name)
            head = shared.head()
            if head.digest != reader.digest:
                private_folder(folder)
                # A round that runs here has pulled itself, and its files must not be replaced.
                with FileLock(folder / "pull.lock", timeout=0, mode=FILE_MODE):
                    reader.digest = shared.pull(exact=False).digest
        except Timeout:
            return
        except StoreError as exc:
            if not (folder / CURRENT).exists():
                raise
            self._tell(exc)
        else:
            self._problem = ""

    def _discover(self) -> None:
        """Make a folder for each project that only the remote has."""
        remote = self._remote
        if remote is not None:
            self._listing.ask(lambda: self._list(remote), self._clock, must=False, patience=self.patience)

    def _list(self, remote: Remote) -> None:
        try:
            names = remote.folders()
        except StoreError as exc:
            self._tell(exc)
            return
        for name in names:
            if STORE_NAME.fullmatch(name):
                private_folder(self.root / name)

    def _tell(self, problem: StoreError) -> None:
        if str(problem) != self._problem:  # report it once, not every few seconds
            log.warning("the shared store fails, so the local copy is served: %s", problem)
        self._problem = str(problem)

    # --- for writers: `ProjectStore` calls these ---------------------------------------------------------------

    @contextmanager
    def exclusive(self, folder: Path, timeout: float) -> Iterator[None]:
        """Keep other machines out, start from the newest state, and share the result.

        What is there after a failure is shared as well: it is complete, and the next round need not do it again.
        """
        uid = folder.name.removeprefix("project-")
        with ExitStack() as held:
            lease = self._lease(held, uid, timeout)
            writer = self._writers[folder] = _Writer(lease)
            held.callback(self._writers.pop, folder)
            if self._remote is not None:
                held.enter_context(FileLock(folder / "pull.lock", timeout=PULL_PATIENCE, mode=FILE_MODE))
                writer.shared = SharedFolder(self._remote, folder)
                writer.head = writer.shared.pull(exact=True)
                for name in named(Shared.AT_ONCE):
                    if not writer.shared.pull_loose(name) and (folder / name).exists():
                        writer.shared.push_loose(name, (folder / name).read_bytes())
            try:
                yield
            except BaseException:
                with suppress(Exception):  # the first error is the one to report
                    writer.push()
                raise
            writer.push()

    def prepare(self, folder: Path) -> None:
        """Before Label Studio is told of a new order: upload what the order needs, and check that the lock is held.

        Raises:
            StoreError: the upload failed, or the lock was lost.
        """
        writer = self._writers.get(folder)
        if writer is not None:
            writer.check()
            if writer.shared is not None:
                writer.shared.upload()

    def commit(self, folder: Path) -> None:
        """Share what the holder of the lock has done so far, since annotators already have the new order.

        Raises:
            StoreError: the remote failed, or the lock was lost.
        """
        writer = self._writers.get(folder)
        if writer is not None:
            writer.push()

    @contextmanager
    def editing(self, folder: Path, name: str) -> Iterator[None]:
        """Keep other machines from changing a loose document, and start from its newest version.

        Without Redis, one of two edits made on two machines at the same moment may be lost.
        """
        with ExitStack() as held:
            self._lease(held, folder.name.removeprefix("project-"), EDIT_PATIENCE, document=name)
            if self._remote is not None:
                SharedFolder(self._remote, folder).pull_loose(name)
            yield

    def _lease(self, held: ExitStack, uid: str, timeout: float, document: str = "") -> Lease | None:
        """Hold the lock of a project or document in Redis, if there is one, until ``held`` is closed."""
        if self._redis_url is None:
            return None
        return hold_lease(held, self._redis_url, uid, timeout=timeout, document=document)

    def share_loose(self, folder: Path, name: str, text: str) -> None:
        """Share a loose document with the other machines."""
        if self._remote is not None:
            SharedFolder(self._remote, folder).push_loose(name, text.encode())


@lru_cache(maxsize=8)
def stores_of(settings: Settings) -> StoreRegistry:
    """The stores that the settings name, closed to other users and shared by all requests with these settings.

    Raises:
        ConfigurationError: STORE_URL cannot be used.
    """
    keep_private(settings.model_dir)
    url, redis = (secret.get_secret_value() if secret else None for secret in (settings.store_url, settings.redis_url))
    return StoreRegistry(settings.model_dir, Remote(url) if url else None, redis)
