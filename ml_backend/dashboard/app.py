"""Connects the dashboard to the server. It is only made at the first request below its address."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ml_backend.config import Settings
from ml_backend.dashboard import security
from ml_backend.dashboard.address import PREFIX, UPDATE_PATH
from ml_backend.errors import ActiveLearningError, ConfigurationError
from ml_backend.extras import require

if TYPE_CHECKING:
    from ml_backend.jobs.job import Rounds
    from ml_backend.jobs.scheduler import Scheduler

log = logging.getLogger(__name__)
MOST_ROOTS: Final = 4
"""Paths under which proxies may serve the backend: one, or two while it moves."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def add_dashboard(server: Flask, settings: Settings, rounds: Rounds, scheduler: Scheduler | None) -> None:
    """Answer everything below `PREFIX`.

    The pages are an application of their own, so that a server whose dashboard nobody opens spends no memory on Dash
    and Plotly. The server's basic auth and its error answers apply to them as well. If a package is missing, the answer
    is one sentence that says what to install.
    """

    def make(root: str) -> Flask:
        require("The dashboard", "plotly", "markdown_it", "dash")
        from ml_backend.dashboard.site import make_site

        site = make_site(settings, rounds, scheduler, root)
        site.config["MAX_CONTENT_LENGTH"] = server.config["MAX_CONTENT_LENGTH"]
        return site

    site = Late(make)
    security.guard(server, PREFIX)

    @server.route(PREFIX, methods=METHODS, provide_automatic_options=False)
    @server.route(f"{PREFIX}<path:page>", methods=METHODS, provide_automatic_options=False)
    def dashboard(page: str = "") -> AnyResponse:
        """The pages, and their data."""
        del page  # the site reads the whole address
        try:
            made = site.get(request.script_root)
        except ConfigurationError as exc:
            return Response(f"{exc}\n", 501, mimetype="text/plain")
        if not request.path.endswith(UPDATE_PATH):
            return Response.from_app(made.wsgi_app, request.environ)
        try:
            return Response.from_app(made.wsgi_app, request.environ)
        except (ActiveLearningError, HTTPException):
            raise
        except Exception as exc:  # a page may send back made-up data in place of ours
            log.error("dashboard: an update of a page failed: %s in %s", type(exc).__name__, place_of(exc))
            raise BadRequest("The page sent what the dashboard cannot use; load it again.") from None


def place_of(exc: Exception) -> str:
    """File and line where an error was raised, for logs that must not show the error's text."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


class Late:
    """An application that is made once, when it is first needed, by one thread while others wait.

    Its pages contain the path under which they are served, so there is one application for each of the latest paths.
    """

    def __init__(self, make: Callable[[str], Flask]) -> None:
        self._make = lru_cache(maxsize=MOST_ROOTS)(make)
        self._lock = Lock()

    def get(self, root: str = "") -> Flask:
        """The application as it is served below a path.

        Raises:
            ConfigurationError: a package is missing.
        """
        with self._lock:
            return self._make(root)
