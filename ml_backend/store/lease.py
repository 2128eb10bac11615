"""A lock in Redis that works across machines, and ends by itself when its holder dies.

The key expires after ``seconds``; while the holder lives, a thread renews it three times in that span. A holder that
was cut off for longer has lost the lock, whether or not somebody else has taken it, and must not change anything any
more: see ``check``.
"""

from __future__ import annotations

import logging
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from ml_backend.errors import BUSY, DOCUMENT_BUSY, ConfigurationError, ProjectBusy, StoreError

log = logging.getLogger(__name__)
RENEWALS: Final = 3
PREFIX: Final = "active-learning:project:"


class Lease:
    """The lock of a project or of one of its documents. Use it as a context manager.

    Args:
        redis: the Redis that has the lock.
        uid: the project.
        timeout: seconds to wait for another holder.
        seconds: how long the lock outlives a holder that dies.
        renewals: how often the holder renews the lock in that span.
        document: the document; empty for the project itself.

    Raises:
        ProjectBusy: somebody else holds the project's lock.
        StoreError: somebody else holds the document's lock.
        ConfigurationError: Redis does not answer.
    """

    def __init__(
        self,
        redis: Redis,
        uid: str,
        *,
        timeout: float = 0,
        seconds: float,
        document: str = "",
        renewals: int = RENEWALS,
    ) -> None:
        # Not thread-local, because the renewing thread uses the same token.
        key = f"{uid}:{document}" if document else uid
        self._lock = Lock(redis, f"{PREFIX}{key}", timeout=seconds, thread_local=False)
        self._uid, self._document = uid, document
        self._timeout = timeout
        self._pause = seconds / renewals
        self._stop = Event()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        try:
            mine = self._lock.acquire(blocking=self._timeout > 0, blocking_timeout=self._timeout or None)
        except RedisError as exc:
            raise _unreachable(exc) from exc
        if not mine:
            refusal, told = (StoreError, DOCUMENT_BUSY) if self._document else (ProjectBusy, BUSY)
            raise refusal(f"{told} (lock {self._lock.name} in Redis); try again when it is done.")
        self._thread = Thread(target=self._renew, name=f"lease {self._uid}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self._lock.release()
        except RedisError as exc:  # includes LockError. The lock was lost, or will expire by itself
            log.warning("project %s: its lock could not be given back: %s", self._uid, type(exc).__name__)

    def check(self) -> None:
        """Make sure that the lock is still held.

        Raises:
            StoreError: it was lost.
            ConfigurationError: Redis does not answer.
        """
        try:
            mine = self._lock.owned()
        except RedisError as exc:
            raise _unreachable(exc) from exc
        if not mine:
            raise StoreError(
                f"The lock of project {self._uid} was lost, because this process was cut off from Redis or stood "
                "still for too long. Nothing more is changed; run the round again."
            )

    def _renew(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                self._lock.reacquire()
            except LockError:
                log.error("project %s: its lock was lost", self._uid)
                return
            except RedisError as exc:  # the lock holds until it expires, and Redis may be back by then
                log.warning("project %s: its lock could not be renewed: %s", self._uid, type(exc).__name__)


def _unreachable(exc: RedisError) -> ConfigurationError:
    return ConfigurationError(
        f"Redis does not answer at REDIS_URL ({type(exc).__name__}). Without it one cannot know whether another "
        "machine is working on the project. Start it, or correct REDIS_URL."
    )
