"""A server of images and error pages that does what no server should; on this machine's loopback alone."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

Handle = Callable[[socket.socket, bytes, threading.Event], None]
"""Gets the connection, the request, and what is set at the end."""


class MisbehavingServer:
    """Answers each connection by one function; ``requests`` are the first bytes of each."""

    def __init__(self, handle: Handle) -> None:
        self._handle, self.over = handle, threading.Event()
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.over.is_set():
                connection.close()
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(60)
            try:
                while request := connection.recv(65536):
                    self.requests.append(request)
                    self._handle(connection, request, self.over)
            except OSError:  # the client gave up, as it should
                pass

    def close(self) -> None:
        self.over.set()
        socket.create_connection(("127.0.0.1", self.port)).close()  # wakes the one that accepts
        self._accepting.join()
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def misbehaving() -> Iterator[Callable[[Handle], MisbehavingServer]]:
    """Start servers: ``misbehaving(drip(...))``."""
    running: list[MisbehavingServer] = []

    def start(handle: Handle) -> MisbehavingServer:
        running.append(MisbehavingServer(handle))
        return running[-1]

    yield start
    for server in running:
        server.close()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Handle:
    """Always the same."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]).encode() + b"\r\n\r\n"

    def handle(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(head + body)

    return handle


def redirect(location: str) -> Handle:
    """To another place."""
    return answer(b"", f"Location: {location}", status="302 Found")


def drip(head: bytes, *, seconds: float, sent: list[int] | None = None) -> Handle:
    """A byte each so many seconds, after ``head`` at once; each byte is counted in ``sent``."""

    def handle(connection: socket.socket, request: bytes, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(seconds):
            connection.sendall(b"x")
            if sent is not None:
                sent.append(1)

    return handle


def gzip_bomb(megabytes: int) -> bytes:
    """A small gzip of so many megabytes of zeros."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(pack.compress(bytes(1 << 20)) for _ in range(megabytes)) + pack.flush()
