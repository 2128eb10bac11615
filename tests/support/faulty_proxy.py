"""A reverse proxy that breaks chosen requests, to stand between our client and a real Label Studio."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from processes import free_port

LOCKED_PAGE = b"""<!doctype html><html><head><title>OperationalError at /api</title></head><body>
<h1>OperationalError at /api</h1><pre class="exception_value">database is locked</pre></body></html>"""
BLOCKED_ADDRESS = b'{"status_code": 403, "detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)"}'
"""What Label Studio 1.23.2 answers where ML_BLOCK_LOCAL_IP=false is missing."""
IDS = re.compile(r"/\d+")
HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "server", "transfer-encoding"})


class Fault(Enum):
    """What happens to a request."""

    HANG = "no answer for longer than anybody waits"
    ERROR = "500 with Label Studio's JSON"
    LOCKED = "500 with Django's page of a locked database"
    UNAVAILABLE = "503 with Retry-After"
    BAD_GATEWAY = "502 of a proxy"
    CUT = "Label Studio does it, and half of its answer arrives"
    LOST = "Label Studio does it, and the connection breaks without an answer"
    UNKNOWN_RELEASE = "Label Studio names a release that nobody knows"
    BLOCKED = "403 of a Label Studio that connects to no private address"
    HALF_BLOCKED = "Label Studio does it, and answers so all the same"
    DOWN = "the connection breaks, and all later ones are refused"


@dataclass(frozen=True)
class Request:
    """A request of which fault plans may think: its number since ``start``, and what it is about."""

    number: int
    name: str
    """Method and path, without ids: ``GET api/projects/N``."""


Plan = Callable[[Request], Fault | None]


def name_of(method: str, path: str) -> str:
    """What a request is about."""
    return f"{method} {IDS.sub('/N', path.split('?')[0]).strip('/')}"


class Hurried(httpx.HTTPTransport):
    """Waits for a moment only for the answers that its proxy lets hang; for all others as long as they take."""

    def __init__(self, proxy: FaultyProxy, seconds: float) -> None:
        super().__init__()
        self.proxy, self.seconds = proxy, seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.proxy.would_hang(request.method, request.url.path):
            request.extensions["timeout"] = httpx.Timeout(self.seconds).as_dict()
        return super().handle_request(request)


class FaultyProxy:
    """Passes everything on to ``upstream``, except what ``plan`` says. Each request has its own connection."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.names: list[str] = []
        """Requests since ``start``, in order."""
        self.plan: Plan = lambda request: None
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._client = httpx.Client(timeout=60, trust_env=False)
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = free_port()
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, plan: Plan) -> None:
        """Count requests from 0 and break them by this plan."""
        self._released.clear()
        with self._lock:
            self.names, self.plan = [], plan

    def heal(self) -> None:
        """Break nothing any more, and let go of what hangs."""
        self.plan = lambda request: None
        self._released.set()
        self.listen()

    def listen(self) -> None:
        if self._server is not None:
            return
        if self._thread is not None:  # the closed socket's port is free when nobody waits at it any more
            self._thread.join()
        server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler(), bind_and_activate=False)
        server.daemon_threads = True
        server.allow_reuse_address = True
        server.server_bind()
        server.server_activate()
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def refuse(self) -> None:
        """Take no more connections."""
        server, self._server = self._server, None
        if server is not None:
            server.socket.close()  # at once: the thread below may take a moment
            threading.Thread(target=server.shutdown, daemon=True).start()

    def close(self) -> None:
        self.heal()
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def would_hang(self, method: str, path: str) -> bool:
        """Whether the next request would, if it were this one."""
        return self.plan(Request(len(self.names), name_of(method, path))) is Fault.HANG

    def _take(self, name: str) -> Fault | None:
        with self._lock:
            request = Request(len(self.names), name)
            self.names.append(name)
            return self.plan(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = proxy._take(name_of(self.command, self.path))
                if fault is Fault.HANG:
                    proxy._released.wait(30)
                    self.reset()
                elif fault is Fault.DOWN:
                    proxy.refuse()
                    self.reset()
                elif fault is Fault.ERROR:
                    self.give(500, "application/json", b'{"status_code": 500, "detail": "disk I/O error"}')
                elif fault is Fault.LOCKED:
                    self.give(500, "text/html", LOCKED_PAGE)
                elif fault is Fault.UNAVAILABLE:
                    self.give(503, "text/html", b"<h1>Service Unavailable</h1>", retry_after="1")
                elif fault is Fault.UNKNOWN_RELEASE:
                    self.give(200, "application/json", b'{"release": "1.99.0"}')
                elif fault is Fault.BLOCKED:
                    self.give(403, "application/json", BLOCKED_ADDRESS)
                elif fault is Fault.BAD_GATEWAY:
                    self.give(502, "text/html", b"<h1>Bad Gateway</h1>")
                else:
                    self.pass_on(body, fault)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def pass_on(self, body: bytes, fault: Fault | None) -> None:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP | {"host"}}
                headers["accept-encoding"] = "identity"
                url = proxy.upstream + self.path
                answer = proxy._client.request(self.command, url, headers=headers, content=body)
                if fault is Fault.LOST:
                    self.reset()
                    return
                if fault is Fault.HALF_BLOCKED:
                    self.give(403, "application/json", BLOCKED_ADDRESS)
                    return
                self.send_response_only(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.finish_with(answer.content, cut=fault is Fault.CUT)

            def give(self, status: int, content_type: str, content: bytes, retry_after: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                if retry_after:
                    self.send_header("Retry-After", retry_after)
                self.finish_with(content)

            def finish_with(self, content: bytes, *, cut: bool = False) -> None:
                self.send_header("Content-Length", str(len(content) + cut))  # an empty answer can be cut, too
                self.send_header("Connection", "close")
                self.close_connection = True
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(content[: len(content) // 2] if cut else content)

            def reset(self) -> None:
                """Break the connection as a killed server does."""
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def finish(self) -> None:
                with suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
