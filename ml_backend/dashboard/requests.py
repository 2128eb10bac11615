"""Requests with bounded JSON, whether our routes or Dash read it."""

from __future__ import annotations

from typing import Any, Final

from flask.json.provider import DefaultJSONProvider

from ml_backend.bounded_json import JsonMalformed, JsonTooLarge, read_json
from ml_backend.errors import RequestMalformed, RequestTooLarge

NO_OBJECT: Final = "The request's body must be a JSON object."


class BoundedJson(DefaultJSONProvider):
    """An application's JSON provider that reads no more than the bounds allow.

    It is set for the application, not for requests, because Flask gives each request the application's provider.
    """

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse the text.

        Raises:
            RequestTooLarge, RequestMalformed.
        """
        del kwargs
        return read_bounded(s)


def read_bounded(content: bytes | str) -> Any:
    """JSON of a request's body.

    Raises:
        RequestTooLarge, RequestMalformed: it is none that may be read.
    """
    try:
        return read_json(content)
    except JsonTooLarge as exc:
        raise RequestTooLarge(f"The request's body {exc}; send less, in parts.") from None
    except JsonMalformed as exc:
        told = NO_OBJECT if str(exc) == "is no JSON" else f"The request's body {exc}."
        raise RequestMalformed(told) from None
