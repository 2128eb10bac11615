"""Errors as answers: the same JSON body for all, and a status line that gives the reason."""

from __future__ import annotations

import logging
import re
from typing import Final

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from ml_backend.errors import (
    ActiveLearningError,
    ConfigurationError,
    LabelConfigError,
    RequestMalformed,
    RequestTooLarge,
)

log = logging.getLogger(__name__)
TAG: Final = re.compile(r"<([^<>]{0,200})>")
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LONGEST_REASON: Final = 500
"""Characters of a status line's reason; clients refuse longer ones."""
LONGEST_MESSAGE: Final = 5_000
"""Characters of an error's message, which may quote what was sent."""
STATUSES: Final = (
    (LabelConfigError, 422),
    (RequestTooLarge, 422),
    (RequestMalformed, 400),
    (ConfigurationError, 400),
)


def add_error_handlers(app: Flask) -> None:
    """Answer every error with `error_response`."""
    app.register_error_handler(ActiveLearningError, _own_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _any_error)


def error_response(status: int, message: str) -> Response:
    """The form that all errors have."""
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}..."
    response = jsonify(error=message)
    response.status = f"{status} {reason_phrase(message)}"
    return response


def reason_phrase(message: str) -> str:
    """A message in the form of a status line's reason.

    Label Studio shows its users only this, nothing of the body, and shows it as HTML: "<Choices>" would be taken for a
    tag and vanish.
    """
    line = UNPRINTABLE.sub("", TAG.sub(r"\1", " ".join(message.split()))).replace("<", "(")
    line = line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."
    return line.encode("latin-1", "replace").decode("latin-1")


def _own_error(error: ActiveLearningError) -> Response:
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 503)
    log.warning("%s %s: %s", request.method, request.path, error)
    return error_response(status, str(error))


def _http_error(error: HTTPException) -> Response:
    return error_response(error.code or 500, error.description or error.name)


def _any_error(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return error_response(500, "The backend failed; its log says why.")
