"""Which page an address shows."""

from __future__ import annotations

import logging
from typing import Any, Final

from dash import Dash, Input, Output

from ml_backend.dashboard import projects, shell
from ml_backend.dashboard.address import NOWHERE, PREFIX, number, parameters, parse_address
from ml_backend.dashboard.pages.base import Page, View
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.reading.common import title
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError

log = logging.getLogger(__name__)
FAILED: Final = "The dashboard failed; the backend's log says why."


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


def register(app: Dash, services: Services) -> None:
    """Show the page of the address in the browser, with its title, and whether there are newer results."""

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
