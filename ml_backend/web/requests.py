"""The bodies of requests: what is wrong with one is said in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

from ml_backend.errors import ConfigurationError


def json_body() -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        ConfigurationError: it has none.
    """
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ConfigurationError("The request's body must be a JSON object.")
    return body


def required_text(body: Mapping[str, Any], name: str) -> str:
    """A text that the body must hold.

    Raises:
        ConfigurationError: it does not.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'The request lacks "{name}".')
    return value
