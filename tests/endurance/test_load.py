"""Slow clients, many annotators, and a project whose training has no end: the others hardly notice."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.attacks import PATIENCE, AttackedServer
from support.local_server import Call, LocalServer, LocalServerFactory

from ml_backend.store.project_store import ProjectStore

NOON = "2026-01-01T12:00:00.000000Z"
ENDLESS, FIRST, SECOND = 1, 2, 3
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
SLOW_CLIENTS, ANNOTATORS, REQUESTS = 50, 20, 1_000
ALLOWED = 3.0
"""How many times the quiet time."""


class Studio:
    """Label Studio: one project that is trained without end, and others whose tasks are asked for when rounds start."""

    def __init__(self) -> None:
        self.started = {number: threading.Event() for number in (ENDLESS, FIRST, SECOND)}

    def __call__(self, call: Call) -> tuple[int, str, bytes]:
        status, answer = self._answer(call.path)
        return status, "application/json", json.dumps(answer).encode()

    def _answer(self, path: str) -> tuple[int, Any]:
        if found := re.match(r"/api/projects/(\d+)/?$", path):
            count = len(self.tasks(int(found[1])))
            counts = {"task_number": count, "total_annotations_number": count, "skipped_annotations_number": 0}
            about = {"title": "p", "label_config": CONFIG, "created_at": NOON, "model_version": ""}
            return 200, {"id": int(found[1]), "sampling": "", "maximum_annotations": 1} | about | counts
        if found := re.search(r"[?&]project=(\d+)", path):
            self.started[int(found[1])].set()
            return 200, {"tasks": self.tasks(int(found[1]))}
        return 404, {}

    @staticmethod
    def tasks(project: int) -> list[dict[str, Any]]:
        """Labelled ones to be trained on; the others have none."""
        if project != ENDLESS:
            return []
        value = {"from_name": "c", "to_name": "t", "type": "choices"}
        results = [[value | {"value": {"choices": [choice]}}] for choice in ("yes", "no")]
        about = {"completed_by": 1, "updated_at": NOON, "was_cancelled": False}
        return [
            {"id": number, "updated_at": NOON, "data": {"text": f"{'flood' if number % 2 else 'football'} {number}"}}
            | {"is_labeled": True, "annotations": [about | {"id": number, "result": results[number % 2]}]}
            for number in range(1, 41)
        ]


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def server(tmp_path: Path, studio: Studio, local_server: LocalServerFactory) -> Iterator[AttackedServer]:
    found: LocalServer = local_server(studio)
    server = AttackedServer(
        tmp_path, LABEL_STUDIO_URL=found.url, LABEL_STUDIO_API_KEY="0" * 40, POLL_SECONDS="0", ROUND_SECONDS="900"
    )
    params = {"hyperparameters": {"steps": 100_000}, "learn_from_pool": False}
    ProjectStore(server.model_dir, f"{ENDLESS}.{int(datetime.fromisoformat(NOON).timestamp())}").set_extra_params(
        params
    )
    yield server
    server.close()


def start(server: AttackedServer, studio: Studio, project: int) -> float:
    """Seconds until a round of a project has begun."""
    asked = time.perf_counter()
    body = {"action": "START_TRAINING", "project": {"id": project}}
    assert server.http.post("/webhook", json=body).status_code == 201
    assert studio.started[project].wait(PATIENCE)
    return time.perf_counter() - asked


def event(annotation: int) -> dict[str, Any]:
    return {"action": "ANNOTATION_CREATED", "project": {"id": ENDLESS}, "annotation": {"id": annotation, "task": 1}}


def p99(server: AttackedServer) -> dict[str, float]:
    """Of `/health` and `/webhook`, seconds as one client sees them."""
    taken: dict[str, list[float]] = {"/health": [], "/webhook": []}
    ask: dict[str, Callable[[httpx.Client, int], httpx.Response]] = {
        "/health": lambda client, _: client.get("/health"),
        "/webhook": lambda client, number: client.post("/webhook", json=event(number)),
    }
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        for number in range(REQUESTS):
            for path, send in ask.items():
                begun = time.perf_counter()
                assert send(client, number).status_code == 200
                taken[path].append(time.perf_counter() - begun)
    return {path: float(np.quantile(values, 0.99)) for path, values in taken.items()}


def be_slow(server: AttackedServer, over: threading.Event) -> None:
    """A client that sends a byte of a body now and then, and comes back when it is dropped."""
    head = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    )
    while not over.is_set():
        with server.connect() as connection:
            try:
                connection.sendall(head)
                while not over.wait(1):
                    connection.sendall(b" ")
            except OSError:
                continue


def annotate(server: AttackedServer, over: threading.Event) -> None:
    """An annotator who submits five times a second."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        number = 0
        while not over.wait(0.2):
            client.post("/webhook", json=event(number := number + 1))


@pytest.mark.timeout(900)
def test_one_project_and_many_clients_keep_no_other_waiting(server: AttackedServer, studio: Studio) -> None:
    start_alone, quiet = start(server, studio, FIRST), p99(server)
    start(server, studio, ENDLESS)
    over = threading.Event()
    crowd = [threading.Thread(target=be_slow, args=(server, over)) for _ in range(SLOW_CLIENTS)]
    crowd += [threading.Thread(target=annotate, args=(server, over)) for _ in range(ANNOTATORS)]
    for one in crowd:
        one.start()
    try:
        loaded, start_beside = p99(server), start(server, studio, SECOND)
        assert server.http.get("/is_training", params={"project": ENDLESS}).json()["is_training"], "without end"
    finally:
        over.set()
        for one in crowd:
            one.join()
    told = f"quiet {quiet}, loaded {loaded}; a round starts in {start_alone:.2f} s alone, {start_beside:.2f} s beside"
    print(told)
    assert start_beside <= ALLOWED * start_alone, told
    assert all(loaded[path] <= ALLOWED * quiet[path] for path in quiet), told
