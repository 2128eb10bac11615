"""Which requests to Label Studio are repeated, and after how long.

A request that may take effect twice is repeated if its failure is likely to pass: the connection broke, or the answer
says that the server is overloaded or its database locked. After a refused connection every request is repeated, because
nothing was sent. A request that timed out is never repeated: the server may still be working on it, and is slow enough
already.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx
from tenacity import RetryCallState, Retrying, wait_random_exponential

PASSING: Final = frozenset({408, 429, 500, 502, 503})
"""Status codes of failures that may be gone at the next try. Not 504, after which the server is still at work."""
LOCKED: Final = b"database is locked"
"""Part of the answer of a Label Studio whose SQLite file is being written by somebody else."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is repeated, and after how long.

    The wait before try ``n + 1`` is uniform in ``[0, first_wait 2^n]``, so that clients that failed together do not
    come back together ("full jitter": Brooker 2015,
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). ``Retry-After`` is respected up to
    ``longest_wait``. All waits are in seconds.
    """

    tries: int = 4
    tries_when_locked: int = 8
    """A lock lasts some seconds, and everybody who writes has to wait for it."""
    first_wait: float = 0.5
    longest_wait: float = 5.0
    sleep: Callable[[float], None] = time.sleep


def send(once: Callable[[], httpx.Response], *, repeatable: bool, patience: RetryPolicy) -> httpx.Response:
    """Call ``once`` until it succeeds or the policy ends.

    Returns the last answer, whatever it is, or raises the last error.
    """

    def again(state: RetryCallState) -> bool:
        return may_repeat(state, repeatable=repeatable)

    def enough(state: RetryCallState) -> bool:
        return state.attempt_number >= (patience.tries_when_locked if _is_locked(state) else patience.tries)

    retrying = Retrying(
        retry=again,
        stop=enough,
        wait=lambda state: max(jitter(state), min(_asked_wait(state), patience.longest_wait)),
        sleep=patience.sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    jitter = wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait)
    response: httpx.Response = retrying(once)
    return response


def may_repeat(state: RetryCallState, *, repeatable: bool) -> bool:
    """Whether a try may be followed by another one."""
    outcome = state.outcome
    if outcome is None:
        return False
    error = outcome.exception()
    if isinstance(error, httpx.ConnectError):
        return True
    if isinstance(error, httpx.HTTPStatusError):  # the token was not exchanged, so the request itself was never sent
        return error.response.status_code in PASSING
    if error is not None:
        return repeatable and isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
    return repeatable and outcome.result().status_code in PASSING


def _is_locked(state: RetryCallState) -> bool:
    response = _answer(state)
    return response is not None and response.status_code == 500 and LOCKED in response.content


def _asked_wait(state: RetryCallState) -> float:
    """Seconds that the server asked to wait (RFC 9110, Retry-After: seconds or a date); 0 if it did not ask."""
    response = _answer(state)
    header = response.headers.get("retry-after", "") if response is not None else ""
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _answer(state: RetryCallState) -> httpx.Response | None:
    if state.outcome is None or state.outcome.failed:
        return None
    response: httpx.Response = state.outcome.result()
    return response
