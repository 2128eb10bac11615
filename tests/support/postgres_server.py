"""A real PostgreSQL for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import ServerProcess, free_port
from support.waiting import until

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of each version, out of the PATH."""
USER = "labelstudio"


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A database of our own, and the environment that makes Label Studio use it."""
    programs = _programs()
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    make = [programs / "initdb", "--pgdata", data, "--username", USER, "--auth", "trust", "--no-sync"]
    subprocess.run(_unprivileged(make), check=True, capture_output=True, cwd=folder)
    serve = [programs / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", folder, "-F"]
    server = ServerProcess("PostgreSQL", _unprivileged(serve), log=folder / "postgres.log", cwd=folder)
    try:
        ready = [programs / "pg_isready", "--host", "127.0.0.1", "--port", port]
        until(lambda: subprocess.run(_texts(ready), check=False, capture_output=True).returncode == 0)
        yield {
            "LABEL_STUDIO_DJANGO_DB": "default",
            "LABEL_STUDIO_POSTGRE_HOST": "127.0.0.1",
            "LABEL_STUDIO_POSTGRE_PORT": str(port),
            "LABEL_STUDIO_POSTGRE_NAME": "postgres",
            "LABEL_STUDIO_POSTGRE_USER": USER,
            "LABEL_STUDIO_POSTGRE_PASSWORD": "",
        }
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    reason = "no PostgreSQL: install Debian's package postgresql"
    raise (pytest.fail if os.environ.get("CI") == "true" else pytest.skip).Exception(reason)


def _unprivileged(command: Sequence[object]) -> list[str]:
    return ["runuser", "-u", "postgres", "--", *_texts(command)] if os.geteuid() == 0 else _texts(command)


def _texts(command: Sequence[object]) -> list[str]:
    return [str(part) for part in command]
