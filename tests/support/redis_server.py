"""A real Redis for tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from processes import ServerProcess, free_port
from redis import Redis
from redis.exceptions import RedisError
from support.waiting import until

REDIS_PASSWORD = "redis-password-9"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own; never on the usual port, where Label Studio would take it for its own."""
    if shutil.which("redis-server") is None:
        reason = "no redis-server: install Debian's package redis-server"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    command += ["--requirepass", REDIS_PASSWORD]
    with (
        ServerProcess("Redis", command, log=folder / "redis.log"),
        Redis(port=port, password=REDIS_PASSWORD) as connection,
    ):
        until(lambda: answers(connection))
        yield f"redis://:{REDIS_PASSWORD}@127.0.0.1:{port}/0"


def answers(connection: Redis) -> bool:
    try:
        return bool(connection.ping())
    except RedisError:
        return False
