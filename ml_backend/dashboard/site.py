"""The dashboard as an application: its pages, the routes beside them, and the security headers."""

from __future__ import annotations

from dash import Dash
from flask import Flask

from ml_backend.config import Settings
from ml_backend.dashboard import pulse, routes, routing, security, shell
from ml_backend.dashboard.address import PREFIX, BoundedInteger
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.requests import BoundedJson
from ml_backend.dashboard.services import Services
from ml_backend.dashboard.updates import check_updates
from ml_backend.jobs.job import Rounds
from ml_backend.jobs.scheduler import Scheduler


def make_site(settings: Settings, rounds: Rounds, scheduler: Scheduler | None, root: str = "") -> Flask:
    """Everything below `PREFIX`. Errors are raised, and answered by the server around it.

    Args:
        settings: the installation's.
        rounds: where rounds are requested.
        scheduler: knows what the next round waits for; None: no rounds start by themselves.
        root: the path under which a proxy serves the backend.
    """
    services = Services(settings, rounds, scheduler)
    site = Flask(__name__, static_folder=None)
    site.json = BoundedJson(site)
    site.config.update(PROPAGATE_EXCEPTIONS=True, TRAP_HTTP_EXCEPTIONS=True)
    site.url_map.converters["int"] = BoundedInteger
    routes.add_routes(site, services)
    app = Dash(
        __name__,
        server=site,  # type: ignore[arg-type]
        routes_pathname_prefix=PREFIX,
        requests_pathname_prefix=root + PREFIX,
        assets_folder="assets",
        serve_locally=True,
        compress=False,
        title="Active learning",
        update_title="",
        suppress_callback_exceptions=True,  # callbacks of pages that are not on the screen
    )
    app.index_string = shell.INDEX
    app.layout = shell.frame
    routing.register(app, services)
    pulse.register(app, services)
    for page in PAGES:
        page.register(app, services)
    check_updates(site, app)
    security.allow_scripts(site, app.csp_hashes())
    return site
