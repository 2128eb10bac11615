"""Which projects exist: those in the store, and those that Label Studio confirms.

Anyone who can reach the backend can make up project ids. Each would become a folder in the store, and one with the id
of a real project and a later time would be shown in its place.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import closing
from threading import Lock
from typing import Final

from werkzeug.exceptions import TooManyRequests

from ml_backend.config import Settings
from ml_backend.errors import LabelStudioNotFound
from ml_backend.label_studio.connection import hasty_client
from ml_backend.store.registry import stores_of

TIMEOUT: Final = 2.5
"""Seconds to wait for Label Studio, which itself waits no longer than 3 for the answer to /setup."""
REMEMBERED: Final = 30.0
"""Seconds for which an answer is reused."""
MOST_REMEMBERED: Final = 1_000
MOST_ASKED: Final = 20
"""How many unknown projects Label Studio may be asked about within `SPAN`."""
SPAN: Final = 10.0

Ask = Callable[[int], str | None]
"""A project's id → its unique id; None if there is no such project."""


class KnownProjects:
    """Tells made-up projects from real ones. Safe to share between threads.

    Args:
        settings: the installation's.
        ask: asks Label Studio; by default with the configured account, if there is one.
        clock: monotonic seconds.
    """

    def __init__(self, settings: Settings, *, ask: Ask | None = None, clock: Callable[[], float] = time.monotonic):
        self._stores = stores_of(settings)
        self._ask = ask or (_asker(settings) if settings.label_studio_api_key else None)
        self._clock = clock
        self._answers: OrderedDict[int, tuple[float, str | None]] = OrderedDict()
        self._asked: deque[float] = deque(maxlen=MOST_ASKED)
        self._lock = Lock()

    def confirms(self, uid: str) -> bool | None:
        """Whether there is a project with this unique id; None if nobody can be asked.

        Raises:
            LabelStudioError: Label Studio does not answer.
            TooManyRequests: too many unknown projects were asked about.
        """
        if self._stores.get(uid).folder.exists():
            return True
        if self._ask is None:
            return None
        return self._uid(int(uid.partition(".")[0])) == uid

    def exists(self, project_id: int) -> bool:
        """Whether there is a project with this id. If nobody can be asked, only the store counts.

        Raises:
            LabelStudioError: Label Studio does not answer.
            TooManyRequests: too many unknown projects were asked about.
        """
        if self._stores.open(project_id) is not None:
            return True
        return self._ask is not None and self._uid(project_id) is not None

    def _uid(self, project_id: int) -> str | None:
        with self._lock:
            now = self._clock()
            known = self._answers.get(project_id)
            if known is not None and now - known[0] < REMEMBERED:
                return known[1]
            if len(self._asked) == MOST_ASKED and now - self._asked[0] < SPAN:
                told = "There were too many requests about unknown projects; try again in a moment."
                raise TooManyRequests(told, retry_after=int(SPAN))
            self._asked.append(now)
        found = self._ask(project_id) if self._ask else None
        with self._lock:
            self._answers[project_id] = now, found
            while len(self._answers) > MOST_REMEMBERED:
                self._answers.popitem(last=False)
        return found


def _asker(settings: Settings) -> Ask:
    """Asks Label Studio as the configured account, without retries."""

    def ask(project_id: int) -> str | None:
        # One client per question: unknown projects are few, and nobody would close a client that is kept.
        with closing(hasty_client(settings, timeout=TIMEOUT)) as client:
            try:
                return client.project(project_id).uid
            except LabelStudioNotFound:
                return None

    return ask
