"""Sends requests to Label Studio and turns every failure into one of this product's errors.

`auth` adds the token; `retries` decides which failed requests are sent again.
"""

from __future__ import annotations

import email.utils
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from ml_backend.errors import (
    LabelStudioConflict,
    LabelStudioError,
    LabelStudioNotFound,
    LabelStudioRejected,
    LabelStudioUnanswerable,
    LabelStudioUnauthorized,
    LabelStudioUnreachable,
)
from ml_backend.fetching.bodies import ACCEPT_ENCODING, BodyError
from ml_backend.fetching.budget import Budget
from ml_backend.fetching.clients import http_client
from ml_backend.label_studio.auth import TOKEN_HELP, TokenAuth
from ml_backend.label_studio.bounded_answers import MOST_BYTES, bound_answer, cost
from ml_backend.label_studio.error_pages import MOST_SAID, page_text
from ml_backend.label_studio.retries import LOCKED, RetryPolicy, send

MOST_REDIRECTS: Final = 5
SHORTEST_WAIT: Final = 0.1
MOST_REASON: Final = 2_000
"""Characters of Label Studio's own explanation that an error message repeats."""


class LabelStudioHttp:
    """Requests of one account to one Label Studio.

    Args:
        url: Label Studio's URL.
        api_key: the account's token, legacy or personal.
        timeout: seconds to wait for an answer.
        patience: which requests are repeated, and when.
        ca_file: certificates of authorities that are trusted in addition to the public ones.
        names: other URLs of this Label Studio that tasks may use for its files; the files are requested from ``url``.
        clock: seconds since 1970.
        transport: sends the requests; None: over the network.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 120.0,
        patience: RetryPolicy | None = None,
        ca_file: Path | None = None,
        names: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.names = tuple(names)
        self.auth = TokenAuth(self.url, api_key, clock=clock)
        self._patience = patience or RetryPolicy()
        self._http = http_client(
            self.url,
            ca_file=ca_file,
            auth=self.auth,
            timeout=timeout,
            headers={"Accept-Encoding": ACCEPT_ENCODING},
            follow_redirects=True,
            max_redirects=MOST_REDIRECTS,
            event_hooks={"response": [bound_answer]},
            transport=transport,
        )
        # Many clients are made for one question and then dropped: close their connections right away, and not whenever
        # the garbage collector comes by.
        self._end = weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        self._end()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        once: bool = False,
        what: str = "",
        most_bytes: int = MOST_BYTES,
    ) -> httpx.Response:
        """Send one request, and turn every failure into one of this product's errors.

        Args:
            method: HTTP method.
            path: path below Label Studio's URL.
            params: query parameters.
            body: JSON body.
            once: the request must not take effect twice, so repeat it only if Label Studio cannot have received it.
            what: the subject of the request, for error messages: "Project 7".
            most_bytes: limit for the unpacked answer.
        """
        url = f"{self.url}/{path.lstrip('/')}"

        def send_once() -> httpx.Response:
            return self._http.request(method, url, params=params or None, json=body, extensions=cost(most_bytes))

        return self._answered(send_once, what, f"{method} {path}", repeatable=not once)

    def fetch(self, path: str, *, most_bytes: int, budget: Budget) -> bytes | str:
        """Fetch a task's file that Label Studio serves or knows (`file_paths`): its content, or the URL where it is.

        Redirects are returned, not followed, so that the token goes to nobody but Label Studio.
        """

        def send_once() -> httpx.Response:
            return self._http.get(
                f"{self.url}/{path.lstrip('/')}",
                follow_redirects=False,
                timeout=max(budget.left(), SHORTEST_WAIT),
                extensions=cost(most_bytes, budget.is_over),
            )

        response = self._answered(send_once, f"File {path[:MOST_SAID]}", f"GET {path[:MOST_SAID]}", repeatable=True)
        if response.has_redirect_location:
            return str(response.url.join(response.headers["location"]))
        return response.content

    def _answered(
        self, send_once: Callable[[], httpx.Response], what: str, call: str, *, repeatable: bool
    ) -> httpx.Response:
        """The answer, if Label Studio accepted the request."""
        try:
            response = send(send_once, repeatable=repeatable, patience=self._patience)
        except httpx.HTTPStatusError as exc:  # raised while a personal access token was exchanged
            raise self._refusal(exc.response, what) from exc
        except BodyError as exc:
            raise LabelStudioUnanswerable(f"{what or call}: the answer of {self.url} was not read: {exc}.") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._silence(exc, call) from exc
        if response.status_code >= 400:
            raise self._refusal(response, what)
        return response

    def _json(self, method: str, path: str, **kwargs: Any) -> Any:
        return self._content(self.request(method, path, **kwargs))

    def _content(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError) as exc:
            raise LabelStudioUnreachable(
                f"{self.url} answered {response.request.method} {response.url.path} with something that is not JSON: "
                "it is not a Label Studio, or a proxy is in between. Correct LABEL_STUDIO_URL."
            ) from exc

    def _silence(self, exc: Exception, what: str) -> LabelStudioUnreachable:
        """The error for a request that got no answer."""
        if isinstance(exc, httpx.TimeoutException):
            return LabelStudioUnreachable(
                f"{self.url} did not answer {what} in time. Is it overloaded? See LABEL_STUDIO_URL and REQUEST_TIMEOUT."
            )
        broke = isinstance(exc, httpx.NetworkError | httpx.RemoteProtocolError)
        if broke and not isinstance(exc, httpx.ConnectError):
            return LabelStudioUnreachable(
                f"The connection to {self.url} broke at {what} ({exc}). Was it restarted? Try again."
            )
        return LabelStudioUnreachable(
            f"No Label Studio answers at {self.url} ({exc}). Start it, or correct LABEL_STUDIO_URL."
        )

    def _refusal(self, response: httpx.Response, what: str) -> LabelStudioError:
        """The error for a request that Label Studio refused."""
        return self._error(response.status_code, _detail(_json_or_text(response)), what)

    def _error(self, status: int, detail: str, what: str) -> LabelStudioError:
        what = what or "The request"
        if status == 401:
            return LabelStudioUnauthorized(f"{self.url} refused the token ({detail}). {TOKEN_HELP}")
        if status == 403:
            return LabelStudioUnauthorized(f"{what}: {self.url} forbids this to the token's account ({detail}).")
        if status == 404:
            return LabelStudioNotFound(f"{what} does not exist at {self.url}, or the token's account cannot see it.")
        if status == 409:
            return LabelStudioConflict(f"{what}: {self.url} has it already ({detail}).")
        if LOCKED.decode() in detail:
            return LabelStudioRejected(
                f"{what}: the database of {self.url} is locked, because others write to its SQLite file. Try again "
                "later; for many annotators at once, run Label Studio on PostgreSQL."
            )
        if status >= 500:
            kind = LabelStudioUnanswerable if status == 500 else LabelStudioRejected
            return kind(f"{what}: {self.url} failed with {status} ({detail}). Try again; see its log.")
        return LabelStudioRejected(f"{what}: {self.url} answered {status} ({detail}).")

    @staticmethod
    def server_time(response: httpx.Response) -> datetime:
        """Label Studio's clock at the time of its answer, in whole seconds."""
        header = response.headers.get("date")
        return email.utils.parsedate_to_datetime(header).astimezone(UTC) if header else datetime.now(UTC)


def _json_or_text(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return page_text(response.text)


def _detail(body: Any) -> str:
    return _reason(body)[:MOST_REASON]


def _reason(body: Any) -> str:
    if isinstance(body, Mapping):
        errors = body.get("validation_errors")
        if isinstance(errors, Mapping):
            reasons = [str(r) for value in errors.values() for r in (value if isinstance(value, list) else [value])]
            return " ".join(" ".join(reasons).split())
        return str(body.get("detail") or body)
    return str(body)
