"""``kill -9`` of the server in the middle of its rounds."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import requests
from processes import ServerProcess, free_port
from support.killed_project import SEED, KilledProject
from support.kills import STEPS, plan
from support.places import REPOSITORY
from support.process_groups import group_lives
from support.waiting import until

from ml_backend.rounds.log import rounds


class Server:
    """``scripts/serve.py`` as a process of its own. It starts rounds only when it is told to."""

    def __init__(self, killed: KilledProject, folder: Path, *, poll_seconds: float = 0) -> None:
        settings = killed.settings
        assert settings.label_studio_api_key
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.killed = killed
        self._before = 0
        """Steps of rounds that were asked for earlier."""
        environment = {
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key.get_secret_value(),
            "MODEL_DIR": str(settings.model_dir),
            "QUEUE_SIZE": str(settings.queue_size),
            "KEEP_QUEUES_SECONDS": "0",
            "KEEP_VERSIONS": str(settings.keep_versions),
            "POLL_SECONDS": str(poll_seconds),
            "PORT": str(port),
            "LOG_LEVEL": "DEBUG",
        }
        command = [sys.executable, str(REPOSITORY / "scripts" / "serve.py")]
        log = folder / f"server-{port}.log"
        self.process = ServerProcess("The server", command, log=log, env=os.environ | environment)

    def ask(self) -> None:
        """Start a round, as Label Studio's "Start training" does."""
        self.process.wait_healthy(f"{self.url}/health")
        self._before = len(self._steps())
        body = {"action": "START_TRAINING", "project": {"id": self.killed.project.id}}
        assert requests.post(f"{self.url}/webhook", json=body, timeout=60).status_code == 201

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    @property
    def begun(self) -> list[str]:
        """The steps that began in the round that was asked for last."""
        return self._steps()[self._before :]

    def _steps(self) -> list[str]:
        begun = re.findall(r" ml_backend\.rounds\.record: step started: (\w+)", self.log)
        return [step for step in begun if step in STEPS]

    def reached(self, step: str, count: int) -> Callable[[], bool]:
        """Whether it began the step, or has ended its round, the first after ``count``."""
        return lambda: not step or step in self.begun or len(rounds(self.killed.store)) > count

    def kill(self) -> None:
        """kill -9 the server alone; its other processes must end by themselves."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process._popen.wait()
        until(lambda: not group_lives(self.process.pid), "the end of the round process")


def kill_server(killed: KilledProject, folder: Path, kills: int) -> None:
    """Kill the server so many times, then let a new one find by itself what is to be done."""
    hits: Counter[str] = Counter()
    servers: list[Server] = []

    def spare() -> Server:
        """A server that starts while another is at work: most of its start is imports."""
        servers.append(Server(killed, folder))
        return servers[-1]

    try:
        server = spare()
        server.ask()
        asked = time.monotonic()
        until(lambda: rounds(killed.store), "a first round")
        seconds = {"": time.monotonic() - asked}
        seconds |= {step["name"]: step["seconds"] for step in rounds(killed.store)[0]["steps"]}
        killed.check_right()
        for place, (step, share) in enumerate(plan(kills, SEED + 1)):
            server = servers[place]
            if len(servers) < kills:
                spare()
            killed.change_labels()
            count = len(rounds(killed.store))
            server.ask()
            until(server.reached(step, count), step, pause=0.002)
            time.sleep(share * seconds.get(step, 0.0))
            server.kill()
            hits["after" if len(rounds(killed.store)) > count else ["before", *server.begun][-1]] += 1
            killed.check()
        # Started anew, it finds by itself that labels wait, and sets everything right.
        killed.change_labels()
        count = len(rounds(killed.store))
        servers.append(Server(killed, folder, poll_seconds=1))
        until(lambda: len(rounds(killed.store)) > count, "a round of its own")
        servers[-1].process.stop()  # it would take the proof's answers for labels
        assert servers[-1].process._popen.returncode == 0
        killed.prove(killed.check_right())
        killed.check_labels()
        assert {line["error"] for line in rounds(killed.store)} == {None}
    finally:
        for server in servers:
            server.process.stop()
    print(f"\n{kills} kills of the server, by what its round process was doing: {dict(hits)}")
    assert sum(hits.values()) == kills
