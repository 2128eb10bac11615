"""Part of the overview about the doctor: a button, and what the last run found."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import project_of
from ml_backend.dashboard.pages.base import Data
from ml_backend.dashboard.reading.overview import read_examination
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError


def section(data: Data) -> html.Section:
    """The button, and what was found."""
    note = "Checks Label Studio, the connection, the store and the served order. It changes nothing."
    button = html.Button("Run the doctor", id="doctor", n_clicks=0, className="button plain")
    shown = html.Div(doctor_result(data["doctor"]), id="doctor-result", role="status")
    return parts.section("Doctor", html.Div(button, className="actions"), shown, note=note)


def doctor_result(found: dict[str, Any] | None) -> Any:
    """What the doctor found."""
    if found is None:
        return None
    if found["running"]:
        return parts.notice("The doctor is at work …")
    if found["error"]:
        return parts.notice(found["error"], "error")
    if found["findings"]:
        shown = [_finding(item) for item in found["findings"]]
    else:
        shown = [parts.notice(f"All {found['checks']} checks that were made are fine.", "good")]
    if not found["skipped"]:
        return shown
    count = words.count(len(found["skipped"]), "check")
    skipped = [html.Summary(f"{count} not made"), *map(_finding, found["skipped"])]
    return [*shown, html.Details(skipped)]


def _finding(item: dict[str, Any]) -> Any:
    status = "" if item["status"] == "skipped" else item["status"]
    return parts.notice([html.Strong(f"{item['name']}: "), item["message"], _remedy(item)], status)


def _remedy(item: dict[str, Any]) -> Any:
    return html.Div(["→ ", item["remedy"]]) if item["remedy"] else ""


def register(app: Dash, services: Services) -> None:
    """Run the doctor, and show its findings as soon as they are there."""

    @app.callback(
        Output("doctor-result", "children"),
        Input("doctor", "n_clicks"),
        Input("tick", "n_intervals"),
        State("url", "pathname"),
        State("doctor-result", "children"),
        prevent_initial_call=True,
    )
    def doctor(clicks: int | None, ticks: int | None, path: str, shown: Any) -> Any:
        del ticks
        try:
            project_id = project_of(path)
        except ActiveLearningError:
            return no_update
        if ctx.triggered_id == "doctor" and clicks:
            services.examine(project_id)
        result = doctor_result(read_examination(services.examination(project_id)))
        return no_update if _same(result, shown) else result


def _same(result: Any, shown: Any) -> bool:
    """Whether the browser already shows this; it sends back what it got, as JSON."""
    plain = result.to_plotly_json() if hasattr(result, "to_plotly_json") else result
    return _words_of(plain) == _words_of(shown)


def _words_of(component: Any) -> str:
    """All text of a component."""
    if isinstance(component, list | tuple):
        return "".join(map(_words_of, component))
    if hasattr(component, "to_plotly_json"):
        component = component.to_plotly_json()
    if isinstance(component, dict):
        return _words_of(component.get("props", {}).get("children"))
    return "" if component is None else str(component)
