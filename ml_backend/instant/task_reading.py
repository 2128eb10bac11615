"""Keeps the copy of the tasks up to date between two rounds, so that all counts are right a moment after an answer.

It runs in a thread beside those of the server. When it hears that a project changed, it waits a moment, so as not to
slow down the page, and reads what changed; a project that changes all the time is read from time to time. Reading takes
only a small share of Label Studio's time, however large the project is. A failure is retried, and fails no round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError, LabelStudioNotFound
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import hasty_client
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.store.documents import MOVES
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_reorderings import is_paused
from ml_backend.store.registry import stores_of

log = logging.getLogger(__name__)
QUIET: Final = 1.0
"""Seconds from a change until it is read: meanwhile the page shows the next task, which reading would slow down."""
AGAIN: Final = 3.0
"""Seconds until the next look, if Label Studio's counts say that something has not shown up yet."""
REST: Final = 10.0
"""Seconds until the next look after a failure; doubled after each further failure in a row."""
LONGEST_REST: Final = 300.0
"""The longest wait after failures, in seconds."""
LOOKS: Final = 3
"""Looks in a row that may fail to show everything; after that it must be a deleted task, which a round finds out."""
SHARE: Final = 0.2
"""The largest share of the time that is spent on reading a project."""
MOST_PROJECTS: Final = 1_000
"""Projects that may wait to be read, so that made-up project numbers cannot fill the memory."""


class TaskReading:
    """Reads what changed. ``start`` starts its thread, ``stop`` ends it.

    Args:
        settings: the installation's.
        client: makes a client of Label Studio; by default one that does not retry.
        clock: monotonic seconds.
        now: seconds since 1970.
        quiet: seconds from a change until it is read.
        told: called with each project that was read, and its store.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: Callable[[], LabelStudioClient] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        quiet: float = QUIET,
        told: Callable[[int, ProjectStore], None] = lambda project_id, store: None,  # noqa: ARG005
    ) -> None:
        self._stores = stores_of(settings)
        self._new_client = client or (lambda: hasty_client(settings, timeout=settings.request_timeout))
        self._client: LabelStudioClient | None = None
        self._clock, self._now, self._quiet, self._told = clock, now, quiet, told
        self._due: dict[int, float] = {}
        """Project → when it is to be read."""
        self._looks: dict[int, int] = {}
        """Project → looks in a row that did not show everything."""
        self._failures: dict[int, int] = {}
        """Project → failures in a row."""
        self._free: dict[int, float] = {}
        """Project → when it may be read again."""
        self._news = Condition()
        self._thread: Thread | None = None

    def changed(self, project_id: int) -> None:
        """Hear that a project changed; returns at once."""
        with self._news:
            if len(self._due) >= MOST_PROJECTS:
                return
            self._due.setdefault(project_id, max(self._clock() + self._quiet, self._free.get(project_id, 0.0)))
            self._news.notify()

    def start(self) -> None:
        """Start the thread, which reads all known projects first: people answered while no server ran."""
        for project_id in self._stores.known():
            self.changed(project_id)
        self._thread = Thread(target=self._work, name="task reading", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End the thread."""
        with self._news:
            thread, self._thread = self._thread, None
            self._news.notify()
        if thread is not None and thread.is_alive():
            thread.join(timeout)
        if self._client is not None:
            self._client.close()
            self._client = None

    def _work(self) -> None:
        while True:
            with self._news:
                if self._thread is None:
                    return
                first = min(self._due, key=lambda project_id: self._due[project_id], default=None)
                wait = None if first is None else self._due[first] - self._clock()
                if first is None or (wait is not None and wait > 0):
                    self._news.wait(wait)
                    continue
                del self._due[first]
            self._guarded(first)

    def _guarded(self, project_id: int) -> None:
        """Whatever fails, it is tried again later, and the other projects are read meanwhile."""
        began = self._clock()
        try:
            again: float | None = self._read(project_id)
        except LabelStudioNotFound:
            again = None  # it is deleted; the scheduler tells
        except Exception as exc:
            again = self._failed(project_id, exc)
        else:
            self._failures.pop(project_id, None)
        ended = self._clock()
        with self._news:
            self._free[project_id] = ended + (ended - began) * (1 / SHARE - 1)
            if again is not None:
                self._due.setdefault(project_id, max(ended + again, self._free[project_id]))

    def _failed(self, project_id: int, exc: Exception) -> float:
        """Log the first failure in a row; returns in how many seconds to try again: nobody reports its end."""
        failures = self._failures[project_id] = self._failures.get(project_id, 0) + 1
        if failures == 1:
            ours = isinstance(exc, ActiveLearningError)
            told = str(exc) if ours else type(exc).__name__
            log.warning("project %s: counting fails: %s", project_id, told, exc_info=None if ours else exc)
        return min(REST * 2.0 ** min(failures - 1, 10), LONGEST_REST)

    def _read(self, project_id: int) -> float | None:
        """Read what changed in one project; returns in how many seconds to look again, None if everything is there."""
        store = self._stores.open(project_id)
        if store is None or not store.task_cache_path.exists():
            return None  # anybody can make up a number; and the first reading of all tasks is a round's
        if is_paused(store.document(MOVES), self._now()):
            return self._quiet  # the order is proved: those answers are taken back
        if self._client is None:
            self._client = self._new_client()
        refresh = TaskCache(store.task_cache_path).refresh(self._client, project_id, changes_only=True)
        self._told(project_id, store)
        if refresh.is_whole:
            self._looks.pop(project_id, None)
            return None
        return self._look_again(project_id, AGAIN)

    def _look_again(self, project_id: int, seconds: float) -> float | None:
        """In how many seconds to look again; None after too many looks in a row, until the project changes again."""
        looks = self._looks[project_id] = self._looks.get(project_id, 0) + 1
        return seconds if looks < LOOKS else None
