"""One request to Label Studio: over its official SDK's HTTP client, with every failure as one of ours.

The SDK's authentication (legacy token or personal access token) and token refresh apply. What is sent again after a
failure, ``retries`` decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from ml_backend.errors import (
    LabelStudioNotFound,
    LabelStudioRejected,
    LabelStudioUnauthorized,
    LabelStudioUnreachable,
)
from ml_backend.label_studio.retries import LOCKED, RetryPolicy, send

MARKUP = re.compile(r"<(style|script|head)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
"""What is not text in an error page."""
TOKEN_HELP = "Take a new one in Label Studio under Account & Settings and set LABEL_STUDIO_API_KEY."  # noqa: S105


class LabelStudioHttp:
    """Requests of one account to one Label Studio.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """

    def __init__(self, url: str, api_key: str, *, timeout: float = 120.0, patience: RetryPolicy | None = None) -> None:
        self.url = url.rstrip("/")
        self._patience = patience or RetryPolicy()
        try:
            self._sdk = LabelStudio(base_url=self.url, api_key=api_key, timeout=timeout)  # type: ignore[no-untyped-call]
        except ApiError as exc:  # the SDK refuses an expired personal access token here
            raise LabelStudioUnauthorized(
                f"{self.url} did not get a usable token: it is expired. {TOKEN_HELP}"
            ) from exc
        self._http = self._sdk._client_wrapper.httpx_client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def close(self) -> None:
        """Close the connections; the client cannot be used any more."""
        self._http.httpx_client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        once: bool = False,
        what: str = "",
    ) -> httpx.Response:
        """Send one request; turn every failure into one of ours.

        Args:
            method: HTTP method.
            path: path below the Label Studio URL.
            params: query parameters.
            body: JSON body.
            once: it must not happen twice: repeat it only where Label Studio cannot have got it.
            what: what the request is about, for the message: "Project 7".
        """

        def send_once() -> httpx.Response:
            return self._http.request(
                path, method=method, params=dict(params or {}), json=body, request_options={"max_retries": 0}
            )

        try:
            response = send(send_once, repeatable=not once, patience=self._patience)
            if response.status_code == 401 and self._forget_access_token():
                response = send(send_once, repeatable=not once, patience=self._patience)
        except ApiError as exc:  # raised while the SDK exchanges a personal access token
            raise self._error(exc.status_code or 0, _detail(exc.body), what) from exc
        except UnicodeEncodeError:
            # Not chained: the original error carries the header, and with it the token.
            raise LabelStudioUnauthorized(
                f"The token for {self.url} has characters that no token has. {TOKEN_HELP}"
            ) from None
        except httpx.TimeoutException as exc:
            raise LabelStudioUnreachable(
                f"{self.url} did not answer {method} {path} in time. Is it overloaded? See LABEL_STUDIO_URL and "
                "REQUEST_TIMEOUT."
            ) from exc
        except (httpx.NetworkError, httpx.RemoteProtocolError) as exc:
            if isinstance(exc, httpx.ConnectError):
                raise self._nobody(exc) from exc
            raise LabelStudioUnreachable(
                f"The connection to {self.url} broke at {method} {path} ({exc}). Was it restarted? Try again."
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._nobody(exc) from exc
        if response.status_code >= 400:
            raise self._error(response.status_code, _detail(_json_or_text(response)), what)
        return response

    def _forget_access_token(self) -> bool:
        """Let the SDK exchange a personal access token anew; whether there was anything to forget.

        It judges by this machine's clock whether the last exchange still holds: wrong for hours where that is set back.
        """
        tokens = self._sdk._client_wrapper._tokens_client
        known, tokens._access_token = tokens._access_token, None
        return known is not None

    def _json(self, method: str, path: str, **kwargs: Any) -> Any:
        return self._content(self.request(method, path, **kwargs))

    def _content(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as exc:
            raise LabelStudioUnreachable(
                f"{self.url} answered {response.request.method} {response.url.path} with something that is not JSON: "
                "this is no Label Studio, or a proxy stands between. Correct LABEL_STUDIO_URL."
            ) from exc

    def _nobody(self, exc: Exception) -> LabelStudioUnreachable:
        return LabelStudioUnreachable(
            f"No Label Studio answers at {self.url} ({exc}). Start it, or correct LABEL_STUDIO_URL."
        )

    def _error(self, status: int, detail: str, what: str) -> Exception:
        what = what or "The request"
        if status == 401:
            return LabelStudioUnauthorized(f"{self.url} refused the token ({detail}). {TOKEN_HELP}")
        if status == 403:
            return LabelStudioUnauthorized(f"{what}: {self.url} forbids this to the token's account ({detail}).")
        if status == 404:
            return LabelStudioNotFound(f"{what} does not exist at {self.url}, or the token's account cannot see it.")
        if LOCKED.decode() in detail:
            return LabelStudioRejected(
                f"{what}: the database of {self.url} is locked: others write to its SQLite file. Try again later; for "
                "many annotators at once, run Label Studio on PostgreSQL."
            )
        if status >= 500:
            return LabelStudioRejected(f"{what}: {self.url} failed with {status} ({detail}). Try again; see its log.")
        return LabelStudioRejected(f"{what}: {self.url} answered {status} ({detail}).")

    def fetch(self, path: str) -> bytes:
        """Content of a file that Label Studio serves itself (an upload or a local file)."""
        return self.request("GET", path, what=f"File {path}").content

    def serves(self, url: str) -> bool:
        """Whether an absolute URL points to this Label Studio: only then may the token travel with a request."""
        ours, theirs = urlsplit(self.url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


def _json_or_text(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return " ".join(MARKUP.sub(" ", response.text).split())[:200]


def _detail(body: Any) -> str:
    if isinstance(body, Mapping):
        errors = body.get("validation_errors")
        if isinstance(errors, Mapping):
            reasons = [str(r) for value in errors.values() for r in (value if isinstance(value, list) else [value])]
            return " ".join(" ".join(reasons).split())
        return str(body.get("detail") or body)
    return str(body)
