"""The backend's own server: waitress, protected from clients that are slow, idle or too many.

- Connections are served by one thread that never blocks, so a slow client costs a socket and nothing else. A client
  that takes too long to send its request or to read its answer, or that is idle for too long, is disconnected. If there
  are too many, so is the one that has been silent for longest.
- The headers decide whether a request's body is read: one that is too large, or a large one without a valid password,
  is refused first.
- Each kind of request has threads of its own (`LANES`), so that many slow ones of one kind do not delay the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error

from ml_backend.web.auth import Doorkeeper, Refusal
from ml_backend.web.errors import reason_phrase
from ml_backend.web.headers import SECURITY_HEADERS
from ml_backend.web.limits import LARGE_BODY, STRANGERS_BODY, body_limit
from ml_backend.web.prefix import TrustedPrefix

OTHER: Final = "other"
LANES: Final[Mapping[str, tuple[int, frozenset[str]]]] = {
    "health": (1, frozenset({"/", "/health"})),
    "webhook": (2, frozenset({"/webhook"})),
    "model": (4, frozenset({"/predict", "/setup"})),
    OTHER: (4, frozenset()),
}
"""Name → threads, and the paths that they answer; the last lane answers everything else."""


@dataclass(frozen=True)
class Patience:
    """How long the server waits for clients, and for how many."""

    idle_seconds: float = 20.0
    """How long a connection may stay silent between two requests."""
    request_seconds: float = 60.0
    """How long a request may take from its first to its last byte."""
    header_seconds: float = 10.0
    """How long the headers may take, from the beginning of the connection or request."""
    answer_seconds: float = 60.0
    """How long a client may go without reading any of its answer."""
    connections: int = 500
    """Connections at the same time."""


class Refused(Error):  # type: ignore[misc]
    """A refusal in the form that all errors have."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self._refusal = refusal

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status line, headers and body."""
        del ident
        refusal = self._refusal
        headers = {"Content-Type": "application/json", **SECURITY_HEADERS, **refusal.headers}
        body = json.dumps({"error": refusal.message}).encode() + b"\n"
        return f"{refusal.status} {reason_phrase(refusal.message)}", list(headers.items()), body


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Parses requests, and refuses those whose headers are reason enough without reading their body."""

    address: str = ""
    """The client's address, set by the channel."""
    body_rcv: Any
    adj: Any

    def parse_header(self, header_plus: bytes) -> None:
        """Read the headers. If the body is not wanted, nothing more is read."""
        super().parse_header(header_plus)
        if self.body_rcv is None:
            return
        refusal = self._refusal(self.adj.doorkeeper)
        if refusal is not None:
            self.error = Refused(refusal)
            self.body_rcv, self.content_length, self.expect_continue = None, 0, False

    def _refusal(self, doorkeeper: Doorkeeper) -> Refusal | None:
        path, headers = str(self.path), self.headers
        # A body that does not state its length may have the largest allowed.
        length = body_limit(path) if self.chunked else self.content_length
        if length > STRANGERS_BODY:
            secret = headers.get(self.adj.secret_header.upper().replace("-", "_"))
            stranger = doorkeeper.stranger(path, headers.get("AUTHORIZATION"), secret, self.address)
            if stranger is not None:
                return stranger
        return doorkeeper.too_large(path, length)


class ErrorAnswer(ErrorTask):  # type: ignore[misc]
    """waitress's own errors (for example for malformed requests) in the form that all errors have."""

    def execute(self) -> None:
        """Write the answer."""
        error = self.request.error
        if not isinstance(error, Refused):
            self.request.error = Refused(Refusal(error.code, f"{error.reason}: {error.body}"))
        super().execute()


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection, which remembers when its current request began."""

    parser_class: ClassVar[Any] = Parser
    error_task_class = ErrorAnswer
    request: Any
    last_activity: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.began: float | None = self.creation_time

    def received(self, data: bytes) -> bool:
        """Process received bytes."""
        if self.request is None:
            self.began = self.began or self.last_activity
            self.request = self.parser_class(self.adj)
            self.request.address = self.addr[0] if self.addr else ""
        found: bool = super().received(data)
        if self.request is None:  # the request is complete
            self.began = None
        return found

    def outstays(self, patience: Patience, now: float) -> bool:
        """Whether the server has waited for this client for long enough."""
        silent = now - self.last_activity
        if self.total_outbufs_len:
            return silent > patience.answer_seconds
        if self.requests:
            return False  # it is being answered
        if self.began is None:
            return silent > patience.idle_seconds
        headers_read = self.request is not None and self.request.headers_finished
        return now - self.began > (patience.request_seconds if headers_read else patience.header_seconds)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Accepts connections at one address."""

    channel_class = Channel

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.application: Any = TrustedPrefix(self.application, self.adj.trusted_proxy)

    def maintenance(self, now: float) -> None:
        """Disconnect clients that took too long and, if there are too many, those that have been silent for longest."""
        patience: Patience = self.adj.patience
        channels: list[Channel] = list(self.active_channels.values())
        for channel in channels:
            if channel.outstays(patience, now):
                channel.will_close = True
        staying = [channel for channel in channels if not channel.will_close]
        idle = sorted((each for each in staying if not each.requests), key=lambda channel: channel.last_activity)
        for channel in idle[: max(0, len(staying) - patience.connections)]:
            channel.will_close = True

    def handle_accept(self) -> None:
        """Accept one more. If there are many by now, look right away which ones can be disconnected."""
        super().handle_accept()
        if len(self.active_channels) > self.adj.patience.connections:
            self.maintenance(time.time())


class LaneDispatcher:
    """Hands each request to the threads of its lane."""

    def __init__(self) -> None:
        self._lanes = {name: ThreadedTaskDispatcher() for name in LANES}
        for name, (threads, _) in LANES.items():
            self._lanes[name].set_thread_count(threads)

    def add_task(self, channel: Channel) -> None:
        """Have the next request of a connection answered."""
        path = getattr(channel.requests[0], "path", "")
        name = next((name for name, (_, paths) in LANES.items() if path in paths), OTHER)
        self._lanes[name].add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop answering requests."""
        ended = [lane.shutdown(cancel_pending, timeout) for lane in self._lanes.values()]
        return all(ended)


def make_server(
    app: Flask,
    doorkeeper: Doorkeeper,
    *,
    host: str,
    port: int,
    secret_header: str,
    trusted_proxy: str | None = None,
) -> MultiSocketServer:
    """Make a server that listens; its ``run`` answers requests until the process ends."""
    patience = Patience()
    more: dict[str, Any] = {}
    if trusted_proxy:
        kinds = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
        more = {"trusted_proxy": trusted_proxy, "trusted_proxy_count": 1, "trusted_proxy_headers": kinds}
    adjustments = Adjustments(
        host=host,
        port=port,
        ident=None,
        cleanup_interval=1,
        connection_limit=4 * patience.connections,  # our own limit applies first
        max_request_body_size=LARGE_BODY + 1,
        max_request_header_size=32 * 1024,
        log_socket_errors=False,  # a client that disconnects is not worth a log line
        asyncore_use_poll=True,  # select supports only 1,024 files
        **more,
    )
    adjustments.doorkeeper, adjustments.patience = doorkeeper, patience
    adjustments.secret_header = secret_header
    sockets: dict[int, Any] = {}
    dispatcher = LaneDispatcher()
    servers = [
        Server(app, sockets, dispatcher=dispatcher, adj=adjustments, sockinfo=info) for info in adjustments.listen
    ]
    addresses = [(server.effective_host, server.effective_port) for server in servers]
    return MultiSocketServer(sockets, adjustments, addresses, dispatcher, servers[-1].log_info)
