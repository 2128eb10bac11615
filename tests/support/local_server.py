"""Servers of our own that give chosen answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Call:
    """One request that a local server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class LocalServer:
    """A server on this machine that gives one answer to everything, and what it was asked."""

    url: str
    calls: list[Call] = field(default_factory=list)


LocalServerFactory = Callable[[Callable[[Call], tuple[int, str, bytes]]], LocalServer]


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
