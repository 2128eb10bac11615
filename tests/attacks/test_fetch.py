"""URLs in tasks that lead where nobody should get, or that never end; a Label Studio that answers too much."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.attacks import PATIENCE, AttackedServer
from support.local_server import LocalServerFactory
from support.misbehaving import Handle, MisbehavingServer, answer, drip, gzip_bomb, misbehaving, redirect
from support.waiting import until

from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.records import Prediction, Queue
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import Current, ProjectStore

__all__ = ["misbehaving"]
Misbehaving = Callable[[Handle], MisbehavingServer]
UID, VERSION, TOKEN = "7.1700000000", "mnist_cnn-0001-0123abcd", "0123456789abcdef0123456789abcdef01234567"
AUTH = ("label-studio", "correct horse battery")
CONFIG = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


class OpenedServer(AttackedServer):
    """Set up as for a whole network (HOST), but reached on loopback alone."""

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "waitress",
            f"--listen=127.0.0.1:{self.port}",
            "--threads=8",
            "ml_backend.wsgi:app",
        ]


def publish(folder: Path) -> None:
    """A stored model of images, and an order that it made."""
    images = np.random.default_rng(0).integers(0, 255, (8, 28, 28), dtype=np.uint8)
    model = MnistCnn(("yes", "no"))
    model.fit(list(images), np.array([0, 1] * 4), seed=0, hyperparameters={"steps": 2})
    weights, config = model.state()
    store = ProjectStore(folder, UID)
    about: dict[str, Any] = {"object_tag": "Image", "labels": ("yes", "no"), "config": config, "metrics": None}
    about |= {"fingerprint": "0123abcd", "examples": 8, "label_counts": {}, "training": {}}
    store.write_version(
        Manifest(name=VERSION, model="mnist_cnn", number=1, created_at=datetime.now(UTC), **about), weights
    )
    name = f"{VERSION}.entropy-0001"
    store.write_queue(Queue(name, VERSION, "entropy", 1, 0, (Prediction(999, "yes", 0.9, 0.5),)))
    store.set_current(Current(VERSION, name))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28)).save(buffer, format="PNG")
    return buffer.getvalue()


def predict(server: AttackedServer, *urls: str) -> list[bool]:
    """Whether each image was read."""
    tasks = [{"id": number, "data": {"image": url}} for number, url in enumerate(urls, start=1)]
    body = {"project": UID, "label_config": CONFIG, "tasks": tasks}
    found = httpx.post(f"{server.url}/predict", json=body, auth=AUTH, timeout=PATIENCE)
    assert found.status_code == 200, found.text
    return [bool(row["result"]) for row in found.json()["results"]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedServer]:
    folder = tmp_path_factory.mktemp("opened")
    publish(folder / "versions")
    settings = {"HOST": "0.0.0.0", "BASIC_AUTH_USER": AUTH[0], "BASIC_AUTH_PASS": AUTH[1], "MEDIA_ALLOW": "localhost"}
    server = OpenedServer(folder, **settings)
    yield server
    server.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedServer]:
    """As `lsal serve` starts it: on its own machine, where all local addresses are open."""
    folder = tmp_path_factory.mktemp("alone")
    publish(folder / "versions")
    server = AttackedServer(folder)
    yield server
    server.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
)
def test_this_machine_is_met_under_no_name(opened: AttackedServer, misbehaving: Misbehaving, host: str) -> None:
    secret = misbehaving(answer(png()))
    assert predict(opened, f"http://{host}:{secret.port}/x.png") == [False]
    assert secret.requests == []


def test_a_redirect_leads_nowhere_else_and_what_was_named_is_fetched(
    opened: AttackedServer, misbehaving: Misbehaving
) -> None:
    secret, picture = misbehaving(answer(png())), misbehaving(answer(png()))
    door = misbehaving(redirect(f"{secret.url}/x.png"))
    urls = (f"http://localhost:{door.port}/x.png", f"http://localhost:{picture.port}/x.png")
    assert predict(opened, *urls) == [False, True]
    assert (len(door.requests), len(secret.requests)) == (1, 0)


def test_a_packed_image_is_not_unpacked_whole(alone: AttackedServer, misbehaving: Misbehaving) -> None:
    before = alone.memory()  # nothing was asked of it before: its peak is this test's
    bomb = misbehaving(answer(gzip_bomb(1000), "Content-Encoding: gzip"))
    assert predict(alone, f"{bomb.url}/x.png") == [False]
    assert alone.memory() - before < 700 << 20  # torch and the model, which the first prediction loads, among it


def test_health_answers_while_images_never_end(alone: AttackedServer, misbehaving: Misbehaving) -> None:
    """Eight predictions at once, of four images each whose server sends a byte each five seconds."""
    sent: list[int] = []
    slow = misbehaving(drip(HEAD, seconds=5, sent=sent))
    with ThreadPoolExecutor(8) as executor:
        asked = [
            executor.submit(predict, alone, *(f"{slow.url}/{number}-{place}.png" for place in range(4)))
            for number in range(8)
        ]
        until(lambda: slow.requests or asked[0].done(), "a picture is asked for")
        assert not asked[0].done()
        assert alone.is_healthy()
        assert not all(one.done() for one in asked), "health answered while they waited"
        assert [one.result() for one in asked] == [[False] * 4] * 8
    assert len(slow.requests) <= 8, "not asked again and again"
    assert len(sent) <= 24


def test_the_token_goes_to_files_of_tasks_alone(tmp_path: Path, local_server: LocalServerFactory) -> None:
    studio = local_server(lambda call: (200, "image/png", png()))
    publish(tmp_path / "versions")
    server = AttackedServer(tmp_path, LABEL_STUDIO_URL=studio.url, LABEL_STUDIO_API_KEY=TOKEN, POLL_SECONDS="0")
    tricks = ["", "/data/upload/..", "/data/upload/%2e%2e", "/data/upload/%252e%252e", "/data/upload/..%5c"]
    paths = [f"{trick}/api/current-user/token" for trick in tricks]
    try:
        assert predict(server, *paths, "/data/upload/1/x.png") == [*[False] * len(paths), True]
        predict(server, *(studio.url + path for path in paths))
    finally:
        server.close()
    with_token = {call.path for call in studio.calls if "Authorization" in call.headers}
    assert "/data/upload/1/x.png" in with_token
    assert not [path for path in with_token if "current-user" in path]


ASK = """
import json, resource, sys, time
from ml_backend.errors import ActiveLearningError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.retries import RetryPolicy
client = LabelStudioClient(sys.argv[1], "token", patience=RetryPolicy(tries=1))
start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    client.request("GET", "api/projects/1")
except ActiveLearningError as exc:
    said = str(exc)
else:
    said = ""
client.close()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([said, grown / 1024, time.process_time() - start]))
"""


def ask(url: str) -> tuple[str, float, float]:
    """What a client of Label Studio says of an answer, the MB that it took, and the seconds of computing."""
    command = [sys.executable, "-c", ASK, url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    said, megabytes, seconds = json.loads(ended.stdout)
    return said, megabytes, seconds


def test_a_packed_answer_of_label_studio(misbehaving: Misbehaving) -> None:
    said, megabytes, _ = ask(misbehaving(answer(gzip_bomb(1000), "Content-Encoding: gzip")).url)
    assert "larger than 256 MiB" in said
    assert megabytes < 400


def test_an_error_page_of_label_studio(misbehaving: Misbehaving) -> None:
    page = b"<style>" * (109 * 1024 // 7)
    said, _, seconds = ask(misbehaving(answer(page, "Content-Type: text/html", status="500 Sorry")).url)
    assert "failed with 500" in said
    assert seconds < 5


def test_what_is_kept_is_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "versions"
    publish(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # as 0.1 left them
    server = AttackedServer(tmp_path)
    try:
        predict(server, "data:,x")
        server.http.post("/setup", json={"project": UID, "schema": CONFIG})
        open_to_others = [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]
    finally:
        server.close()
    assert open_to_others == []
