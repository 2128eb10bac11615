"""The frame around every page: masthead, menu, messages for screen readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dash import dcc, html

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.address import ICON, link
from ml_backend.dashboard.documents import FOLDER_URL

TICK: Final = 1_500
"""Milliseconds between two questions for news; an answer without news changes nothing on the page."""

INDEX: Final = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <meta name="color-scheme" content="light dark">
    <title>{%title%}</title>
    <link rel="icon" href="ICON">
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <footer>{%config%}{%scripts%}{%renderer%}</footer>
  </body>
</html>
""".replace("ICON", ICON)
"""Dash's own page has a script for Internet Explorer, and names no language."""


def frame() -> html.Div:
    """The parts that stay while pages change."""
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="tick", interval=TICK),
            dcc.Store(id="pulse"),
            dcc.Store(id="shown"),
            dcc.Store(id="titled"),
            html.A("Skip to the content", href="#main", className="skip"),
            html.Header(id="masthead"),
            html.Div(id="announcer", role="status", className="hidden-text", **parts.aria(live="polite")),
            html.Div(
                html.Button("A round has ended. Show its results", id="renew", n_clicks=0, className="button"),
                id="news",
                hidden=True,
                className="news",
                role="status",
            ),
            html.Main(id="main", tabIndex=-1),
        ]
    )


def masthead(pages: Sequence[tuple[str, str]], *, project_id: int | None, title: str, here: str | None) -> list[Any]:
    """The project's name and its pages; ``pages`` are (path, title)."""
    home = dcc.Link("Active learning", href=link(), className="home")
    told = html.A("Documentation", href=link(FOLDER_URL), className="to-documents")
    if project_id is None:
        return [html.Div([home, told], className="bar-top")]
    entries = []
    for path, name in pages:
        address = link(f"{project_id}/{path}")
        entry = (
            html.Span(name, className="here", **parts.aria(current="page"))
            if path == here
            else dcc.Link(name, href=address)
        )
        entries.append(html.Li(entry))
    top = html.Div([home, html.Span(title, className="project-title"), told], className="bar-top")
    return [top, html.Nav(html.Ul(entries), **parts.aria(label="Pages of this project"))]


def announcement(pulse: Mapping[str, Any], before: Mapping[str, Any] | None) -> str | None:
    """One sentence for a screen reader if the state of a round changed; otherwise None."""
    then = before or {}
    now_step, then_step = (pulse.get("progress") or {}).get("step"), (then.get("progress") or {}).get("step")
    if now_step and now_step != then_step:
        return f"Round: {words.step(now_step)}."
    if then.get("project") == pulse.get("project") and then.get("round") != pulse.get("round"):
        return "The round failed." if pulse.get("error") else "The round is done."
    return None


def problem(message: str) -> html.Div:
    """An error in place of a page."""
    back = html.P(dcc.Link("All projects", href=link()))
    return parts.page("This page cannot be shown", parts.notice(message, "error"), back)
