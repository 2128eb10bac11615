"""Reads the bodies of requests, and says in a sentence what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import request

from ml_backend.dashboard.requests import NO_OBJECT, read_bounded
from ml_backend.errors import ConfigurationError, RequestMalformed
from ml_backend.web.limits import LARGEST_ID

NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
UID: Final = re.compile(r"[1-9][0-9]{0,17}\.[0-9]{1,18}", re.ASCII)


def json_body() -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        RequestMalformed: there is none, or it is not declared as JSON. (A page of a foreign site can send anything else
            without asking first.)
        RequestTooLarge: it exceeds the limits.
    """
    body = any_json()
    if not isinstance(body, dict):
        raise RequestMalformed(NO_OBJECT)
    return body


def any_json() -> Any:
    """The request's JSON, whatever it is; None if there is none.

    Raises:
        RequestMalformed, RequestTooLarge: it cannot be accepted.
    """
    content = request.get_data(cache=True) if request.is_json else b""
    return read_bounded(content) if content else None


def required_text(body: Mapping[str, Any], name: str) -> str:
    """A text that the body must contain.

    Raises:
        ConfigurationError: it does not.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f'The request lacks "{name}".')
    return value


def project_number(value: Any) -> int | None:
    """A project's id, given as a number, as digits, or at the beginning of a unique id; None for anything else."""
    if isinstance(value, str):
        number = value.split(".", 1)[0] if UID.fullmatch(value) else value
        return int(number) if NUMBER.fullmatch(number) else None
    return value if is_id(value) else None


def project_name(value: Any) -> str:
    """A project as Label Studio names it: its unique id ``7.1700000000``, or its id alone.

    Raises:
        ConfigurationError: it is neither.
    """
    if project_number(value) is None:
        raise ConfigurationError('"project" must be the project\'s id, such as 7 or 7.1700000000.')
    return str(value)


def project_uid(value: Any) -> str:
    """A project's unique id.

    Raises:
        ConfigurationError: it is not one.
    """
    if not isinstance(value, str) or not UID.fullmatch(value):
        raise ConfigurationError('"project" must be the project\'s unique id, such as 7.1700000000.')
    return value


def is_id(value: Any) -> bool:
    """Whether a value can be an id of Label Studio."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
