"""The content of a URL that a task names: bounded in time and size, from addresses that may be asked."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpcore
import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import AddressRules
from ml_backend.fetching.bodies import ACCEPT_ENCODING, BodyError, unpacked
from ml_backend.fetching.budget import Budget
from ml_backend.fetching.clients import environment_proxy
from ml_backend.fetching.failures import FailureMemory
from ml_backend.fetching.gate import Gate
from ml_backend.fetching.network import DEADLINE, AddressRefused, Deadline, Resolve, resolve
from ml_backend.fetching.routes import ProxyOf, Routes
from ml_backend.fetching.urls import SHOWN, basic_auth, parse_url, shown_url

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PASSING: Final = (httpcore.NetworkError, httpcore.RemoteProtocolError)
"""What the next try may not see."""


@dataclass(frozen=True)
class FetchLimits:
    """What one fetch may cost, and how many there may be."""

    seconds: float = 10.0
    """From the first look-up to the last byte, redirects and tries included."""
    most_bytes: int = 50 * 1024 * 1024
    redirects: int = 5
    tries: int = 3
    at_once: int = 8
    at_once_per_host: int = 4
    failures_kept: float = 600.0
    """Seconds for which a failure is not tried again."""


class _NotFetched(Exception):
    """A server's answer that is no content."""


class Fetcher:
    """Fetches http and https URLs for one process. Safe to share between threads.

    Args:
        rules: which addresses may be connected to; default: public ones.
        limits: of time, size and number.
        clock: seconds, from any start.
        sleep: waits between tries.
        resolve: looks names up.
        proxy_of: the proxy for a URL; default: the environment's.
        ca_file: certificates of authorities that are trusted beside the public ones.
    """

    def __init__(
        self,
        rules: AddressRules | None = None,
        limits: FetchLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        resolve: Resolve = resolve,
        proxy_of: ProxyOf = environment_proxy,
        ca_file: Path | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._clock, self._sleep = clock, sleep
        self._gate = Gate(self.limits.at_once, self.limits.at_once_per_host)
        self._failures = FailureMemory(clock, self.limits.failures_kept)
        rules = rules or AddressRules()
        self._routes = Routes(rules, at_once=self.limits.at_once, resolve=resolve, proxy_of=proxy_of, ca_file=ca_file)
        self.close = weakref.finalize(self, self._routes.close)
        """Close all connections; also done when nobody holds the fetcher any more."""

    def fetch(self, url: str, budget: Budget | None = None) -> bytes:
        """Content of a URL.

        Raises:
            BadItemError: it cannot be had; the message says why, without the URL's password.
        """
        parsed, budget = parse_url(url), budget or Budget()
        shown, host = shown_url(parsed), parsed.host
        self._refuse_known(url, host, shown)
        with self._gate.enter(host, budget.left()) as entered:
            seconds = min(self.limits.seconds, budget.left())
            if not entered or seconds <= 0:
                raise BadItemError(budget.message(shown))
            self._refuse_known(url, host, shown)  # found out while this one waited
            deadline = DEADLINE.set(Deadline(self._clock() + seconds, self._clock))
            try:
                content = self._follow(parsed)
            except httpcore.TimeoutException as exc:
                if budget.is_over():
                    raise BadItemError(budget.message(shown)) from exc
                raise self._failed(url, host, f"cannot fetch {shown}: not there after {seconds:g} s", True) from exc
            except httpcore.NetworkError as exc:
                raise self._failed(url, host, f"cannot fetch {shown}: no connection ({exc})", True) from exc
            except (_NotFetched, AddressRefused, BodyError, httpcore.ProtocolError, ValueError) as exc:
                raise self._failed(url, host, f"cannot fetch {shown}: {exc or type(exc).__name__}", False) from exc
            finally:
                DEADLINE.reset(deadline)
        self._failures.answered(host)
        return content

    def _refuse_known(self, url: str, host: str, shown: str) -> None:
        if (reason := self._failures.known(url, host)) is not None:
            raise BadItemError(f"{shown} is not fetched now: {reason}")

    def _failed(self, url: str, host: str, reason: str, silent: bool) -> BadItemError:
        self._failures.failed(url, host, reason, silent=silent)
        return BadItemError(reason)

    def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(self.limits.redirects + 1):
            trying = Retrying(
                retry=retry_if_exception_type(PASSING),
                stop=stop_after_attempt(self.limits.tries),
                wait=wait_exponential(multiplier=0.1),
                sleep=lambda seconds: self._sleep(min(seconds, DEADLINE.get().left())),
                reraise=True,
            )
            answer: bytes | str = trying(self._ask, url)
            if isinstance(answer, bytes):
                return answer
            try:
                url = parse_url(str(url.join(answer)))
            except (BadItemError, httpx.InvalidURL) as exc:
                raise _NotFetched(f"it redirects to {answer[:SHOWN]!r}, which is no http(s) URL") from exc
        raise _NotFetched(f"more than {self.limits.redirects} redirects")

    def _ask(self, url: httpx.URL) -> bytes | str:
        """The content, or where it is instead."""
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        with self._routes.pool(url).stream("GET", target, headers=_request_headers(url)) as response:
            headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in REDIRECTS and b"location" in headers:
                return headers[b"location"]
            if not 200 <= response.status < 300:
                raise _NotFetched(f"its server answered {response.status}")
            encoding = headers.get(b"content-encoding", "")
            return b"".join(unpacked(response.iter_stream(), encoding, most=self.limits.most_bytes))


def _request_headers(url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
    headers: list[tuple[bytes | str, bytes | str]] = [
        ("Host", url.netloc),
        ("Accept", "*/*"),
        ("Accept-Encoding", ACCEPT_ENCODING),
        ("User-Agent", "label-studio-active-learning"),
    ]
    if (authorization := basic_auth(url)) is not None:
        headers.append(("Authorization", authorization))
    return headers
