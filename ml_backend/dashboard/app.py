"""The dashboard's routes, and what keeps an open page up to date."""

from __future__ import annotations

import logging
from typing import Any, Final

from dash import Dash, Input, Output, State, no_update
from flask import Flask

from ml_backend.config import Settings
from ml_backend.dashboard import files, projects, security, shell
from ml_backend.dashboard.address import NOWHERE, PREFIX, number, parameters, parse_address
from ml_backend.dashboard.pages.base import Page, View
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.reading.common import title
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.jobs.queue import Rounds
from ml_backend.jobs.scheduler import Scheduler

log = logging.getLogger(__name__)
FAILED: Final = "The dashboard failed; the backend's log says why."


def add_dashboard(server: Flask, settings: Settings, rounds: Rounds, scheduler: Scheduler | None) -> Dash:
    """Add everything below `PREFIX` to the server."""
    services = Services(settings, rounds, scheduler)
    files.add_routes(server, services)
    app = Dash(
        __name__,
        server=server,  # type: ignore[arg-type]
        url_base_pathname=PREFIX,
        assets_folder="assets",
        serve_locally=True,
        compress=False,
        title="Active learning",
        update_title="",
        suppress_callback_exceptions=True,  # of pages that are not on the screen
    )
    app.index_string = shell.INDEX
    app.layout = shell.frame
    _routing(app, services)
    _pulse(app, services)
    for page in PAGES:
        page.register(app, services)
    security.guard(server, PREFIX, script_hashes=app.csp_hashes())
    return app


def find_page(path: str) -> Page | None:
    """The page of this path; the first one for an empty path."""
    return next((page for page in PAGES if path in (page.path, "" if page is PAGES[0] else page.path)), None)


def render(services: Services, path: str, search: str | None) -> tuple[Any, Any, dict[str, Any]]:
    """Masthead, content and facts (title, project, round) for an address. Errors become pages."""
    typed, page_path = parse_address(path)
    menu = [(page.path, page.title) for page in PAGES]
    project_id = number(typed)
    shown: dict[str, Any] = {"project": project_id, "page": page_path, "round": None, "live": True, "title": "Projects"}
    try:
        if not typed:
            head = shell.masthead(menu, project_id=None, title="", here=None)
            return head, projects.view(projects.read(services)), shown
        if project_id is None:
            wrong = "There is no page at this address" if typed == NOWHERE else f"{typed!r} is no project number"
            message = f"{wrong}; open a project from the list."
            return shell.masthead(menu, project_id=None, title="", here=None), shell.problem(message), shown
        store = services.store(project_id)
        name = title(store)
        page = find_page(page_path)
        here = page.path if page else None
        head = shell.masthead(menu, project_id=project_id, title=name, here=here)
        if page is None:
            message = f"There is no page {page_path!r}; choose one from the menu."
            return head, shell.problem(message), shown | {"title": name}
        last = services.last_round(store) or {}
        shown |= {"round": last.get("round"), "live": page.live, "title": f"{page.title} · {name}"}
        return head, page.view(page.read(View(services, project_id, store, parameters(search)))), shown
    except ActiveLearningError as exc:
        message = str(exc)
    except Exception as exc:  # whatever it is, the menu must stay usable
        log.error("dashboard: %s failed", page_path or "overview", exc_info=exc)
        message = FAILED
    head = shell.masthead(menu, project_id=project_id, title=f"Project {project_id}", here=None)
    return head, shell.problem(message), shown


def _routing(app: Dash, services: Services) -> None:
    @app.callback(
        Output("masthead", "children"),
        Output("main", "children"),
        Output("shown", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("renew", "n_clicks"),
    )
    def show(path: str | None, search: str | None, clicks: int) -> tuple[Any, Any, Any]:
        del clicks
        return render(services, path or PREFIX, search)

    # In the browser: the tab's title, and whether there is something newer than what is shown.
    app.clientside_callback(  # type: ignore[no-untyped-call]
        "function(shown) { if (shown) { document.title = shown.title + ' · Active learning'; } return ''; }",
        Output("titled", "data"),
        Input("shown", "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        "function(pulse, shown) { return !(pulse && shown && !shown.live && pulse.project === shown.project"
        " && pulse.round && pulse.round !== shown.round); }",
        Output("news", "hidden"),
        Input("pulse", "data"),
        Input("shown", "data"),
    )


def read_pulse(services: Services, project_id: int) -> dict[str, Any]:
    """What may change from one moment to the next, in a few lines."""
    store = services.store(project_id)
    current, outlook = store.current(), services.outlook(project_id)
    last = services.last_round(store) or {}
    progress = services.progress(project_id, store)
    return {
        "project": project_id,
        "running": progress is not None or services.running(project_id),
        "progress": progress and {name: progress[name] for name in ("step", "done", "total", "started", "trigger")},
        "labels_waiting": outlook.labels_waiting,
        "labels_to_go": outlook.labels_to_go,
        "seconds_to_go": None if outlook.seconds_to_go is None else round(outlook.seconds_to_go),
        "failures": outlook.failures,
        "round": last.get("round"),
        "error": last.get("error"),
        "version": current.version,
        "queue": current.queue,
    }


def _pulse(app: Dash, services: Services) -> None:
    @app.callback(
        Output("pulse", "data"),
        Output("announcer", "children"),
        Input("tick", "n_intervals"),
        Input("url", "pathname"),
        State("pulse", "data"),
    )
    def look(ticks: int | None, path: str | None, before: dict[str, Any] | None) -> tuple[Any, Any]:
        del ticks
        project_id = number(parse_address(path or "")[0])
        if project_id is None:
            return (no_update, no_update) if before is None else (None, "")
        try:
            pulse = read_pulse(services, project_id)
        except ActiveLearningError:  # the page itself tells
            return no_update, no_update
        if pulse == before:
            return no_update, no_update
        return pulse, shell.announcement(pulse, before) or no_update
