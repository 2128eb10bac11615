"""Security headers of every answer, so that browsers guess no types, show nothing in frames and run nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, Response

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""For answers that set nothing else; the dashboard's pages have a policy of their own."""


def add_security_headers(app: Flask) -> None:
    """Send the headers with every answer. Call this first: handlers that are added first run last."""

    @app.after_request
    def bind_the_browser(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response
