"""Decides who may request what, by host name, password and webhook secret.

The same doorkeeper is asked before a request's body is read (`listening`) and before it is answered (`add_auth`).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flask import Flask, Response, g, request

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.web.errors import error_response
from ml_backend.web.guesses import Guesses
from ml_backend.web.hosts import AllowedHosts
from ml_backend.web.limits import body_limit

OPEN_PATHS: Final = frozenset({"/", "/health"})
"""Answered without a password, because container health checks have none."""
WEBHOOK_PATH: Final = "/webhook"
TELLS_NEWS: Final = "tells_news"
"""Name in ``flask.g``: whether a request was let in only because of its webhook secret."""
CHALLENGE: Final = 'Basic realm="ML backend"'
WRONG: Final = "Wrong or missing basic auth: set the backend's user and password in Settings > Model."


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Doorkeeper:
    """Decides who may request what. Safe to share between threads.

    Args:
        settings: the installation's.
        webhook_secrets: what a webhook may carry in place of the password; read at each request.

    Raises:
        ConfigurationError: only one half of basic auth is configured.
    """

    def __init__(self, settings: Settings, *, webhook_secrets: Callable[[], tuple[str, ...]] = tuple) -> None:
        user, secret = settings.basic_auth_user, settings.basic_auth_pass
        if bool(user) != bool(secret):
            raise ConfigurationError("Set both BASIC_AUTH_USER and BASIC_AUTH_PASS, or neither.")
        self.hosts = AllowedHosts(settings)
        self._login = (user, secret.get_secret_value()) if user and secret else None
        self._webhook_secrets = webhook_secrets
        self._guesses = Guesses()

    @property
    def asks(self) -> bool:
        """Whether a password is needed at all."""
        return self._login is not None

    def foreign_host(self, host: str) -> Refusal | None:
        """Why a request with this ``Host`` is not for us; None if it is."""
        if self.hosts.allows(host):
            return None
        return Refusal(
            421,
            f"This backend does not answer under the name {host[:100]!r}. If that name is right, add it to "
            "ALLOWED_HOSTS and restart the backend.",
        )

    def stranger(
        self, path: str, authorization: str | None, webhook_secret: str | None, address: str
    ) -> Refusal | None:
        """Why the sender of these headers may not request this path; None if they may."""
        if self._login is None or path in OPEN_PATHS or self.is_webhook(path, webhook_secret):
            return None
        given = _basic(authorization)
        if given is None:
            return Refusal(401, WRONG, {"WWW-Authenticate": CHALLENGE})
        if (wait := self._guesses.wait(address)) > 0:
            told = f"Too many wrong passwords from {address}: the next one is checked in {wait:.0f} s."
            return Refusal(429, told, {"Retry-After": f"{wait:.0f}"})
        if self._is_right(given):
            return None
        self._guesses.wrong(address)
        return Refusal(401, WRONG, {"WWW-Authenticate": CHALLENGE})

    def _is_right(self, given: tuple[str, str]) -> bool:
        told, right = ("\0".join(pair).encode("utf-8", "replace") for pair in (given, self._login or ("", "")))
        return hmac.compare_digest(told, right)

    def is_webhook(self, path: str, webhook_secret: str | None) -> bool:
        """Whether a request comes from one of our own webhooks, whose secret opens only this path."""
        if path != WEBHOOK_PATH or not webhook_secret:
            return False
        given = webhook_secret.encode()
        return any(hmac.compare_digest(given, secret.encode()) for secret in self._webhook_secrets())

    def too_large(self, path: str, length: int) -> Refusal | None:
        """Why a body of this length is not read; None if it is."""
        most = body_limit(path)
        if length <= most:
            return None
        told = f"The request's body has {length:,} bytes; {path[:100]} accepts at most {most:,}. Send it in parts."
        return Refusal(413, told)


def add_auth(app: Flask, doorkeeper: Doorkeeper, secret_header: str) -> None:
    """Ask the doorkeeper before every request."""

    @app.before_request
    def refuse_strangers() -> Response | None:
        length = request.content_length or 0
        refusal = (
            doorkeeper.foreign_host(request.headers.get("Host", ""))
            or doorkeeper.stranger(
                request.path,
                request.headers.get("Authorization"),
                request.headers.get(secret_header),
                request.remote_addr or "",
            )
            or doorkeeper.too_large(request.path, length)
        )
        if refusal is None:
            secret = request.headers.get(secret_header)
            tells_news = doorkeeper.asks and doorkeeper.is_webhook(request.path, secret)
            setattr(g, TELLS_NEWS, tells_news)
            return None
        response = error_response(refusal.status, refusal.message)
        response.headers.update(refusal.headers)
        return response


def _basic(header: str | None) -> tuple[str, str] | None:
    """User and password of an ``Authorization`` header; None if there is none, or one of another kind."""
    kind, _, encoded = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:  # also raised for non-ASCII text
        return None
    user, _, password = _text(decoded).partition(":")
    return user, password


def _text(content: bytes) -> str:
    """Decode UTF-8 or Latin-1, which Label Studio uses whenever the text fits into it."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
