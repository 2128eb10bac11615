"""Shared fixtures: a real Label Studio, real data, projects."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.flood import flooded
from support.installation import install
from support.killed_project import killed
from support.label_studio import (
    Call,
    LiveLabelStudio,
    LocalServer,
    LocalServerFactory,
    MakeProject,
    label_studio,
    project_maker,
)
from support.logs import logs
from support.pages import browser, data, page
from support.places import REPOSITORY
from support.redis_server import redis_url
from support.served import settings
from support.simulations import csv_file, topics
from support.texts import model

from ml_backend.cli.common import console, messages

__all__ = [
    "browser",
    "csv_file",
    "data",
    "flooded",
    "install",
    "killed",
    "label_studio",
    "logs",
    "model",
    "page",
    "redis_url",
    "settings",
    "topics",
]
"""Fixtures that are not written here."""
TESTS = Path(__file__).parent
MARKED = {"live", "browser", "endurance", "peers"}
"""Folders whose tests carry the folder's name as a marker."""
SERVERS = {"browser", "label_studio", "redis_url"}
"""Fixtures that start something which a machine may lack, or which takes long."""


def pytest_configure() -> None:
    """Show wide tables."""
    for shown in (console, messages):
        shown.width = 200
    # Started by a script with "&", pytest has Ctrl-C ignored, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Most tests of texts are about the loop: the encoder's import would cost each of their processes six seconds.
    # test_sentences.py, test_demo.py and test_browser.py use it.
    os.environ["TEXT_MODEL"] = "headlines"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder; nothing in ``unit`` may ask for a server or a browser."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in MARKED:
            item.add_marker(folder)
        wanted = SERVERS.intersection(getattr(item, "fixturenames", ()))
        if folder == "unit" and wanted:
            raise pytest.UsageError(
                f"{item.nodeid} needs {', '.join(sorted(wanted))}, which unit tests go without: move it to tests/live."
            )


@pytest.fixture
def local_server() -> Iterator[LocalServerFactory]:
    """Start servers: ``local_server(lambda call: (status, content_type, body))``."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(answer: Callable[[Call], tuple[int, str, bytes]]) -> LocalServer:
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.command, self.path, dict(self.headers), body)
                served.calls.append(call)
                status, content_type, content = answer(call)
                with suppress(ConnectionError):  # a client that waited no longer
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        served = LocalServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        running.append((server, thread))
        return served

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: ACTIVE_LEARNING_TEST_DATA, else shared/data beside the repository."""
    folder = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        reason = f"no real data in {folder}: set ACTIVE_LEARNING_TEST_DATA to a folder with mnist/ and headlines/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def make_project(label_studio: LiveLabelStudio) -> MakeProject:
    """Make projects: ``make_project("headlines" | "mnist", tasks=3)`` or with a list of task data."""
    return project_maker(label_studio)
