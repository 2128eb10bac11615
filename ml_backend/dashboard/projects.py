"""The front page: all projects in the store."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.address import link
from ml_backend.dashboard.documents import FOLDER_URL
from ml_backend.dashboard.reading.common import title
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.rounds.measures import numbers
from ml_backend.store.project_store import ProjectStore


def read(services: Services) -> dict[str, Any]:
    """``projects``: id, title, version, accuracy, labels, last_error, running; for a damaged store its ``error``."""
    return {"projects": [_row(services, i, store) for i, store in services.projects().items()]}


def _row(services: Services, project_id: int, store: ProjectStore) -> dict[str, Any]:
    row: dict[str, Any] = {"id": project_id, "title": f"Project {project_id}", "error": None}
    try:
        last = services.last_round(store) or {}
        current, counted = store.current(), numbers(store)
        metrics = store.manifest(current.version).metrics if current.version else None
        return row | {
            "title": title(store),
            "version": current.version,
            "accuracy": (metrics or {}).get("accuracy"),
            "labels": counted["labels"] if counted else last.get("labels"),
            "last_round": last.get("ended"),
            "last_error": last.get("error"),
            "running": services.running(project_id),
        }
    except (ActiveLearningError, OSError, ValueError, TypeError) as exc:  # the other projects are shown all the same
        message = str(exc) if isinstance(exc, ActiveLearningError) else f"Its store is damaged ({type(exc).__name__})."
        return row | {"error": message}


def view(data: dict[str, Any]) -> html.Div:
    """One card per project."""
    if not data["projects"]:
        how = [
            "In Label Studio, type this server's address into Settings > Model of a project; or connect one with ",
            html.Code("lsal create-project --config FILE --title NAME --backend-url ADDRESS"),
            ". ",
            html.A("Your first project, step by step", href=link(f"{FOLDER_URL}tutorial")),
            ".",
        ]
        return parts.page("Projects", parts.nothing_yet("No project is connected yet.", how))
    return parts.page("Projects", html.Ul([_card(row) for row in data["projects"]], className="projects"))


def _card(row: dict[str, Any]) -> html.Li:
    name = dcc.Link(row["title"], href=link(f"{row['id']}/overview"))
    if row["error"]:
        return html.Li([html.H2(name), parts.notice(row["error"], "error")], className="card")
    if row["version"]:
        labels = words.count(row["labels"] or 0, "label")
        told = f"{labels} · accuracy {words.percent(row['accuracy'])} · {row['version']}"
    else:
        told = (
            "No label and no model yet."
            if not row["labels"]
            else f"{words.count(row['labels'], 'label')}, no model yet."
        )
    content: list[Any] = [html.H2(name), html.P(told)]
    if row["running"]:
        content.append(html.P("A round is under way.", className="note"))
    if row["last_error"]:
        content.append(parts.notice(f"The last round failed: {row['last_error']}", "warning"))
    return html.Li(content, className="card")
