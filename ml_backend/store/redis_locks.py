"""Locks shared by all machines through one Redis. The package redis is imported only if it is used."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from ml_backend.extras import require

if TYPE_CHECKING:
    from redis import Redis

    from ml_backend.store.lease import Lease

LEASE_SECONDS: Final = 30.0
"""How long a lock outlives a holder that dies."""
REDIS_TIMEOUT: Final = 10.0
"""Seconds to wait for an answer from Redis."""


def connect(redis_url: str) -> Redis:
    """Make a client for the Redis at a URL, with a time limit. Sends nothing yet.

    Raises:
        ConfigurationError: redis is not installed.
    """
    client: Redis = require("REDIS_URL", "redis").Redis.from_url(
        redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    return client


def hold_lease(held: ExitStack, redis_url: str, uid: str, *, timeout: float, document: str = "") -> Lease:
    """Hold the lock of a project, or of one of its documents, until ``held`` is closed.

    Raises:
        ConfigurationError: redis is not installed, or does not answer.
        ProjectBusy: somebody else holds the project's lock.
        StoreError: somebody else holds the document's lock.
    """
    redis = held.enter_context(connect(redis_url))
    from ml_backend.store.lease import Lease  # here: redis, which it needs, belongs to an extra

    return held.enter_context(Lease(redis, uid, timeout=timeout, seconds=LEASE_SECONDS, document=document))
