"""Authentication towards Label Studio: a legacy token as it is, or short-lived tokens got for a personal access token.

A personal access token is a JSON Web Token (RFC 7519) of the kind "refresh". It is never sent with a request. Instead,
``/api/token/refresh/`` exchanges it for an access token, which is valid for some minutes and is sent as ``Bearer``.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Generator
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

import httpx

from ml_backend.errors import LabelStudioUnauthorized

TOKEN_HELP: Final = "Take a new one in Label Studio under Account & Settings and set LABEL_STUDIO_API_KEY."  # noqa: S105
REFRESH_PATH: Final = "api/token/refresh/"
MARGIN: Final = 10.0
"""An access token is renewed this many seconds before it expires, because the request still has to arrive."""


class TokenAuth(httpx.Auth):
    """Adds the account's token to each request. Safe to share between threads.

    Args:
        url: Label Studio's URL.
        token: the account's token, legacy or personal.
        clock: seconds since 1970.

    Raises:
        LabelStudioUnauthorized: the token has expired, or has characters that no header can carry.
    """

    requires_response_body = True

    def __init__(self, url: str, token: str, *, clock: Callable[[], float] = time.time) -> None:
        if not token.isascii() or not token.isprintable():
            raise LabelStudioUnauthorized(f"The token for {url} has characters that no token has. {TOKEN_HELP}")
        claims = claims_of(token)
        if claims is not None and _end_of(claims) < clock():
            raise LabelStudioUnauthorized(f"{url} did not get a usable token: it is expired. {TOKEN_HELP}")
        self.is_personal = claims is not None
        """Whether the token is a personal access token."""
        self.access_token: str | None = None
        """The latest access token, if one was fetched."""
        self._url, self._token, self._clock, self._lock = url, token, clock, Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with the token. A personal token is exchanged first if needed, and once more after a 401.

        The second exchange is for machines with a wrong clock, which believe in a token that Label Studio rejects.

        Raises:
            httpx.HTTPStatusError: the exchange was refused; the request itself was never sent.
            httpx.DecodingError: the answer to the exchange did not come from a Label Studio.
        """
        if not self.is_personal:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        used = yield from self._exchanged(None)
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {yield from self._exchanged(used)}"
            yield request

    def _exchanged(self, refused: str | None) -> Generator[httpx.Request, httpx.Response, str]:
        """An access token other than the refused one. Threads that need one at the same time exchange only once."""
        with self._lock:
            if self.access_token is None or self.access_token == refused or self._is_over(self.access_token):
                response = yield httpx.Request("POST", f"{self._url}/{REFRESH_PATH}", json={"refresh": self._token})
                self.access_token = _access_token(response)
            return self.access_token

    def _is_over(self, token: str) -> bool:
        claims = claims_of(token)
        return claims is not None and _end_of(claims) - MARGIN < self._clock()


def claims_of(token: str) -> dict[str, Any] | None:
    """The claims of a JSON Web Token, without checking its signature; None if ``token`` is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(head, dict) and isinstance(claims, dict) else None


def _end_of(claims: dict[str, Any]) -> float:
    """When a token expires, in seconds since 1970; 0 for one without an expiry, which cannot be used."""
    end = claims.get("exp")
    return float(end) if isinstance(end, int | float) else 0.0


def _access_token(response: httpx.Response) -> str:
    if not response.is_success:
        raise httpx.HTTPStatusError("the token was not exchanged", request=response.request, response=response)
    try:
        return str(response.json()["access"])
    except (ValueError, KeyError, TypeError) as exc:
        raise httpx.DecodingError(f"no access token in the answer of /{REFRESH_PATH}") from exc
