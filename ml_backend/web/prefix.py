"""The path under which a proxy serves the backend: ``https://host/ml/`` in front of our ``/``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER: Final = "HTTP_X_FORWARDED_PREFIX"
PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){1,8}/?")
ANY: Final = "*"


class TrustedPrefix:
    """Accepts ``X-Forwarded-Prefix`` from one proxy.

    From anybody else it is dropped, and so is a prefix that is not a path.

    It runs before anything replaces the address of the connecting proxy.

    Args:
        app: the application that answers.
        proxy: the proxy's address, or ``*``; None: nobody is trusted.
    """

    def __init__(self, app: WSGIApplication, proxy: str | None) -> None:
        self._app, self._proxy = app, proxy
        self._prefixed = ProxyFix(app, x_for=0, x_proto=0, x_host=0, x_port=0, x_prefix=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        prefix = environ.pop(HEADER, None)
        if prefix and self._proxy in (ANY, environ.get("REMOTE_ADDR")) and PREFIX.fullmatch(prefix):
            environ[HEADER] = prefix.rstrip("/")
            return self._prefixed(environ, start_response)
        return self._app(environ, start_response)
