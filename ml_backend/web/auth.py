"""Basic auth, where both halves of it are configured."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from flask_httpauth import HTTPBasicAuth

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.web.errors import error_response

OPEN_ROUTES: Final = ("connector.health",)
"""Answered without basic auth: container health checks know no password."""


def add_basic_auth(app: Flask, settings: Settings) -> None:
    """Ask for basic auth on every route but the open ones.

    Raises:
        ConfigurationError: only one half is configured.
    """
    refuse_strangers = _basic_auth(settings)

    @app.before_request
    def authenticate() -> ResponseReturnValue | None:
        return None if request.endpoint in OPEN_ROUTES else refuse_strangers()


def _basic_auth(settings: Settings) -> Callable[[], ResponseReturnValue | None]:
    """A check that answers None to those who may pass, else a refusal."""
    auth = HTTPBasicAuth(realm="ML backend")
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if bool(user) != bool(password):
        raise ConfigurationError("Set both BASIC_AUTH_USER and BASIC_AUTH_PASS, or neither.")

    @auth.verify_password  # type: ignore[untyped-decorator]
    def verify(given_user: str, given_password: str) -> bool:
        if not user or password is None:
            return True
        right_user = hmac.compare_digest(given_user.encode(), user.encode())
        return hmac.compare_digest(given_password.encode(), password.get_secret_value().encode()) and right_user

    @auth.error_handler  # type: ignore[untyped-decorator]
    def refused(status: int) -> Response:
        return error_response(
            status, "Wrong or missing basic auth: set the backend's user and password in Settings > Model."
        )

    check: Callable[[], ResponseReturnValue | None] = auth.login_required(lambda: None)
    return check
