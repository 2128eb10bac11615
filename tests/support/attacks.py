"""The backend as a process of its own, as ``lsal serve`` starts it, to be attacked from outside."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import ServerProcess, free_port

KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR")
"""All that the attacked server takes over from our environment: its settings are the test's alone."""
PATIENCE = 120.0
"""Seconds for an answer on a busy machine; what is claimed is that there is one."""


class AttackedServer:
    """A running backend. ``http`` asks it without any password."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.model_dir = folder / "versions"
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"MODEL_DIR": str(self.model_dir), "PORT": str(self.port), "TEXT_MODEL": "headlines"} | settings
        self.process = ServerProcess("The backend", self.command(), log=folder / "backend.log", env=environment)
        self.process.wait_healthy(f"{self.url}/health")
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "ml_backend", "serve"]

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    def memory(self) -> int:
        """Bytes of memory that it has to itself, and the most that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024

    def is_healthy(self) -> bool:
        """Whether a client with a connection of its own gets an answer from /health."""
        return httpx.get(f"{self.url}/health", timeout=PATIENCE).status_code == 200

    def connect(self) -> socket.socket:
        """A connection that says nothing yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def close(self) -> None:
        """End it."""
        self.http.close()
        self.process.stop()


Attack = Callable[..., AttackedServer]


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Start servers: ``attack(BASIC_AUTH_USER=...)``; those with the same settings are one."""
    running: dict[Any, AttackedServer] = {}

    def start(**settings: str) -> AttackedServer:
        key = tuple(sorted(settings.items()))
        if key not in running:
            running[key] = AttackedServer(tmp_path_factory.mktemp("attacked"), **settings)
        return running[key]

    yield start
    for server in running.values():
        server.close()
