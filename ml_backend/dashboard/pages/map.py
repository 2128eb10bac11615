"""What the model has learnt: the pool as the model sees it, version by version."""

from __future__ import annotations

from typing import Any, Final

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from ml_backend.dashboard import parts
from ml_backend.dashboard.address import link
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.pages.filters import filters
from ml_backend.dashboard.reading import maps
from ml_backend.dashboard.services import Services
from ml_backend.store.pool_map import STATES

COLOURS: Final = (
    ("state", "State"),
    ("label", "Label"),
    ("guess", "Prediction"),
    ("uncertainty", "Uncertainty"),
)
NEAREST: Final = 20


def read(view: View) -> Data:
    """Versions with a map, and where their points can be read; see `maps.overview`."""
    found = maps.overview(view.store)
    return found | {
        "task_link": f"{view.services.label_studio_link(view.project_id)}?task=",
        "search": link(f"{view.project_id}/search"),
        "is_on": view.services.project_settings(view.store).map,
    }


def view(data: Data) -> Any:
    """The page; `assets/map.js` fills it."""
    lead = "Each point is a task. What lies together looks alike to the model; its guesses change where groups touch."
    if not data["versions"]:
        return parts.page("Map", _empty(data), lead=lead)
    content = [
        dcc.Store(id="map-data", data=data),
        dcc.Store(id="map-opened"),
        html.Div([_plot(data), _choice(data)], className="map-columns"),
        html.Div(id="map-tip", className="map-tip", hidden=True),
    ]
    if not data["is_on"]:
        content.insert(0, parts.notice('New maps are switched off by the project\'s extra param "map".', "warning"))
    return parts.page("Map", *content, lead=lead)


def _empty(data: Data) -> Any:
    if not data["is_on"]:
        how: Any = ["Set the project's extra param ", html.Code('"map"'), " to ", html.Code("true"), "."]
        return parts.nothing_yet("Maps are switched off for this project.", how)
    overview = dcc.Link("overview", href=link(f"{data['project']}/overview"))
    if not data["stored_versions"]:
        how = ["Label tasks of at least two classes; the first training draws it. See the ", overview, "."]
        return parts.nothing_yet("There is no model yet, so there is no map.", how)
    how = ["Each round in the background draws one. Press Train now on the ", overview, " to have it at once."]
    return parts.nothing_yet("No map has been drawn yet.", how)


def _plot(data: Data) -> Any:
    choices = [
        html.Button(
            text, className="button plain small", **_colour(value), **parts.aria(pressed=str(value == "state").lower())
        )
        for value, text in COLOURS
    ]
    named = html.Span("Colour and shape by", id="map-colour-name", className="field-name")
    legend = html.Div(
        [named, html.Div(choices, className="actions")],
        id="map-colour",
        role="group",
        **parts.aria(labelledby="map-colour-name"),
    )
    tools = html.Div(
        [
            html.Button("Select", id="map-lasso", className="button plain small", **parts.aria(pressed="true")),
            html.Button("Move", id="map-pan", className="button plain small", **parts.aria(pressed="false")),
            html.Button("Whole map", id="map-whole", className="button plain small"),
        ],
        className="actions map-tools",
    )
    canvases = [
        html.Canvas(id="map-canvas", **parts.aria(hidden="true")),
        html.Canvas(id="map-over", tabIndex=0, role="img", **parts.aria(label="Map of the tasks")),
    ]
    frame = html.Div(canvases, id="map-frame", className="map-frame")
    return html.Section(
        [
            html.Div([html.H2("All tasks", id="h-pool"), parts.explain("map")], className="explained"),
            html.Div([legend, tools], className="map-bar"),
            _filter(data),
            frame,
            html.Ul(id="map-legend", className="map-legend", **parts.aria(label="Legend; a press hides or shows")),
            html.P(id="map-caption", className="note"),
            _slider(data),
        ],
        className="card map-plot",
        **parts.aria(labelledby="h-pool"),
    )


def _filter(data: Data) -> Any:
    """The fields that hide points; `assets/map.js` reads them."""
    states = {str(number): name for number, name in enumerate(STATES)}
    fields = html.Div(filters(data["classes"], states, {}, "map-only"), className="form", id="map-only")
    return html.Details([html.Summary("Show only some", id="map-only-told"), fields], className="filters")


def _colour(value: str) -> dict[str, Any]:
    return {"data-colour": value}


def _slider(data: Data) -> Any:
    last = len(data["versions"]) - 1
    names = [version["name"] for version in data["versions"]]
    here = names.index(data["current"]) if data["current"] in names else last
    slider = dcc.Input(id="map-slider", type="range", min=0, max=max(last, 1), step=1, value=here, disabled=last < 1)
    words = html.Output(id="map-version", htmlFor="map-slider")
    label = html.Label("Version", htmlFor="map-slider")
    play = html.Button("Play", id="map-play", className="button plain", disabled=last < 1)
    return html.Div([label, slider, words, play], className="map-slider")


def _choice(data: Data) -> Any:
    classes = [html.Option("any class", value="")] + [
        html.Option(name, value=str(number)) for number, name in enumerate(data["classes"])
    ]
    form = html.Details(
        [
            html.Summary("Select without the mouse"),
            html.Div(
                [
                    _field("How many", dcc.Input(id="map-count", type="number", min=1, max=1000, value=NEAREST)),
                    _field("Guessed as", html.Select(classes, id="map-class")),
                    _field(
                        "Nearest to task", dcc.Input(id="map-near", type="number", min=1, placeholder="the most unsure")
                    ),
                ],
                className="form",
            ),
            html.Div(id="map-near-problem", className="problem", role="alert"),
            html.Div(html.Button("Select them", id="map-find", className="button plain"), className="actions"),
        ]
    )
    actions = [
        html.Button("Ask these first", id="map-ask", className="button", disabled=True),
        html.Button("Label these…", id="map-label", className="button plain", disabled=True),
        html.Button("Clear", id="map-clear", className="button plain", disabled=True),
    ]
    return html.Section(
        [
            html.H2("Selected tasks", id="h-selected"),
            html.P("Draw around points to select them.", id="map-count-told", role="status"),
            html.Div(actions, className="actions"),
            html.P(id="map-answer", role="status", className="note"),
            form,
            html.Ul(id="map-list", className="tasks map-list"),
        ],
        className="card map-choice",
        **parts.aria(labelledby="h-selected"),
    )


def _field(label: str, control: Any) -> Any:
    return html.Div([html.Label(label, htmlFor=control.id), control], className="field")


def register(app: Dash, services: Services) -> None:
    """Run the script when the page appears."""
    del services
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("pool_map", "open"), Output("map-opened", "data"), Input("map-data", "data")
    )


PAGE = Page("map", "Map", read, view, register)
