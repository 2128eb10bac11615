"""Connections to checked addresses, each wait of which ends with the fetch that it is for.

A name is resolved once, here; what was checked is what is connected to, so that a name server that answers otherwise
a moment later gains nothing. TLS still asks for the name. This stands where httpcore lets others put their own network
(its ``network_backend``).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from ml_backend.fetching.addresses import AddressRules

CONNECT_SECONDS: Final = 5.0
"""For each address of a name."""
RESOLVERS: Final = 8
"""Names looked up at once: a slow name server must not hold up the fetch, and cannot be interrupted."""
MOST_ADDRESSES: Final = 4
Resolve = Callable[[str, int], list[str]]
"""Host, port → addresses. Raises OSError."""


class AddressRefused(Exception):
    """A host that the rules do not let us connect to."""


@dataclass(frozen=True)
class Deadline:
    """The end of one fetch."""

    at: float
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Seconds until then.

        Raises:
            httpcore.ReadTimeout: it has passed.
        """
        if (left := self.at - self.clock()) <= 0:
            raise httpcore.ReadTimeout("the time for this fetch is over")
        return left


DEADLINE: Final[ContextVar[Deadline]] = ContextVar("deadline")
"""Of the fetch that this thread is at. A fetch stays in its thread; the connection it uses serves others later."""


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host, as the system resolves names: it also reads ``2130706433`` and ``0x7f.1``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedNetwork(httpcore.NetworkBackend):
    """Connects to what the rules let pass.

    Args:
        rules: what may be connected to.
        resolve: looks a name up.
    """

    def __init__(self, rules: AddressRules, resolve: Resolve = resolve) -> None:
        self._rules, self._resolve, self._plain = rules, resolve, httpcore.SyncBackend()
        self._lookups = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")

    def close(self) -> None:
        """Look nothing up any more."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the fetch's own end counts
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises:
            AddressRefused: one of its addresses may not be connected to. httpcore.ConnectError,
            httpcore.TimeoutException: none answers.
        """
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self.checked_addresses(host, port)[:MOST_ADDRESSES]:
            seconds = min(CONNECT_SECONDS, DEADLINE.get().left())
            try:
                return TimedStream(self._plain.connect_tcp(address, port, seconds, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    def checked_addresses(self, host: str, port: int) -> list[str]:
        """A host's addresses, all of which may be connected to.

        Raises:
            AddressRefused: one of them may not. httpcore.ConnectError, httpcore.TimeoutException: it has none.
        """
        lookup = self._lookups.submit(self._resolve, host, port)
        try:
            addresses = lookup.result(DEADLINE.get().left())
        except TimeoutError as exc:
            lookup.cancel()
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"{host} is not known") from exc
        for address in addresses:
            if (objection := self._rules.objection(host, address)) is not None:
                raise AddressRefused(objection)
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection that waits for nothing longer than the fetch may last, however often a byte arrives."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Read what has arrived."""
        return self._stream.read(max_bytes, DEADLINE.get().left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send."""
        self._stream.write(buffer, DEADLINE.get().left())

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted; the certificate must be the name's."""
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, DEADLINE.get().left()))

    def get_extra_info(self, info: str) -> Any:
        """What the connection below knows."""
        return self._stream.get_extra_info(info)
