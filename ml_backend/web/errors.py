"""Errors as answers: one JSON body for all, and a status line that says why."""

from __future__ import annotations

import logging
import re
from typing import Final

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from ml_backend.errors import ActiveLearningError, ConfigurationError, LabelConfigError

log = logging.getLogger(__name__)
TAG: Final = re.compile(r"<([^<>]*)>")


def add_error_handlers(app: Flask) -> None:
    """Answer every error by `error_response`."""
    app.register_error_handler(ActiveLearningError, _own_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _any_error)


def error_response(status: int, message: str) -> Response:
    """The one form that errors have."""
    response = jsonify(error=message)
    # Label Studio shows its users nothing of an answer's body, only the status line's reason, and that as HTML:
    # "<Choices>" would be a tag there, and vanish.
    reason = TAG.sub(r"\1", " ".join(message.split())).replace("<", "(").encode("latin-1", "replace").decode("latin-1")
    response.status = f"{status} {reason}"
    return response


def _own_error(error: ActiveLearningError) -> Response:
    status = 422 if isinstance(error, LabelConfigError) else 400 if isinstance(error, ConfigurationError) else 503
    log.warning("%s %s: %s", request.method, request.path, error)
    return error_response(status, str(error))


def _http_error(error: HTTPException) -> Response:
    return error_response(error.code or 500, error.description or error.name)


def _any_error(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return error_response(500, "The backend failed; its log says why.")
