"""Checks of what several machines need: Redis and the shared store."""

from __future__ import annotations

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.errors import StoreError
from ml_backend.extras import require
from ml_backend.store.redis_locks import connect
from ml_backend.store.remote import Remote


def redis(context: Context) -> Finding:
    """Redis answers, if rounds go through it, and a worker is running."""
    name, url = "Redis", context.settings.redis_url
    if url is None:
        return Finding(name, "ok", "Not used: the server runs the rounds itself.")
    require("REDIS_URL", "redis", "rq")
    from redis.exceptions import RedisError
    from rq import Worker

    try:
        with connect(url.get_secret_value()) as client:
            workers = Worker.count(connection=client)
    except RedisError as exc:
        return Finding(
            name, "error", f"It does not answer at REDIS_URL ({type(exc).__name__}).", "Start it, or correct REDIS_URL."
        )
    if not workers:
        return Finding(name, "error", "It answers, but no worker runs the rounds.", "lsal worker")
    return Finding(name, "ok", f"It answers; {workers} workers.")


def shared_store(context: Context) -> Finding:
    """The shared store can be read and written."""
    name, url = "Shared store", context.settings.store_url
    if url is None:
        return Finding(name, "ok", "Not used: MODEL_DIR alone holds the versions.")
    remote = Remote(url.get_secret_value())
    try:
        remote.probe()
    except StoreError as exc:
        return Finding(name, "error", str(exc), "Correct STORE_URL or its credentials; all machines need the same one.")
    if context.settings.redis_url is None:
        message = f"{remote.shown} can be read and written, but nothing keeps rounds of two machines apart."
        return Finding(name, "warning", message, "Set the same REDIS_URL on all machines, or run rounds on one only.")
    return Finding(name, "ok", f"{remote.shown} can be read and written.")
