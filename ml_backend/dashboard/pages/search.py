"""Finds tasks by words, likeness and known facts; what is found can be asked first or labelled."""

from __future__ import annotations

from typing import Any, Final

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from ml_backend.dashboard import parts
from ml_backend.dashboard.address import link
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.pages.filters import field, filters, menu, typed
from ml_backend.dashboard.reading import search
from ml_backend.dashboard.services import Services
from ml_backend.encoders import feature_store

WHOSE_NAME: Final = (
    "The answers are written under your own name, which your access token proves. It goes to Label Studio with each "
    "request, and is kept on this page alone, until you leave it."
)


def read(view: View) -> Data:
    """What the query of the address asks for, see `search.read`."""
    feature_store.use(view.services.settings.model_dir)
    found = search.read(view.store, view.services.project_settings(view.store), view.parameters)
    studio = view.services.label_studio_link(view.project_id)
    return found | {
        "project": view.project_id,
        "api": link(f"api/projects/{view.project_id}"),
        "task_link": f"{studio}?task=",
        "account": f"{view.services.settings.pages_url}/user/account",
    }


def view(data: Data) -> Any:
    """The page; `assets/search.js` fills its lists."""
    lead = "Find tasks, then have them asked first, or give all of them one label."
    content = [
        dcc.Store(id="search-data", data=data),
        dcc.Store(id="search-opened"),
        _form(data),
        _found(data),
        _chosen(data),
        _many(data),
    ]
    return parts.page("Search", *content, lead=lead)


def _form(data: Data) -> Any:
    asked, text = data["asked"], data["kind"] != "Image"
    fields = [
        field("Words", typed("words", asked, 'river "heavy rain"'), "All of them, anywhere in the task."),
        *([field("Like this text", typed("text", asked, "any sentence"))] if text else []),
        field("Like task", typed("like", asked, "its number", kind="number")),
        *filters(data["labels"], data["states"], asked, "search"),
    ]
    buttons = [
        html.Button("Search", id="search-go", className="button"),
        html.Button("Forget all fields", id="search-reset", className="button plain"),
    ]
    problem = html.Div(data["problem"] or "", className="problem", id="search-problem", role="alert")
    # The key: a field that another search left empty is made anew, and does not keep what was typed.
    made = html.Div(fields, className="form", key=str(sorted(asked.items())))
    form = html.Div([made, problem, html.Div(buttons, className="actions")], id="search-form")
    return parts.section("Look for", form, topic="search")


def _found(data: Data) -> Any:
    last = data["start"] + len(data["rows"])
    if not data["total"]:
        told = "Nothing is found." if not data["problem"] else ""
    elif data["total"] > data["count"]:
        told = f"{data['total']:,} tasks, of them {data['start'] + 1:,} to {last:,}:"
    else:
        told = f"{data['total']:,} {'task' if data['total'] == 1 else 'tasks'}:"
    buttons = [
        html.Button("Choose all on this page", id="search-page", className="button plain small"),
        html.Button(
            f"Choose all {len(data['ids']):,} found"
            if data["total"] <= data["most"]
            else f"Choose the first {data['most']:,}",
            id="search-all",
            className="button plain small",
        ),
    ]
    lacking = data["without_vector"]
    note = f"{lacking:,} more have no vector yet, or are held out: how alike they are is not known." if lacking else ""
    return parts.section(
        "Found",
        html.P(told, role="status", id="search-told"),
        html.P(note, className="note") if note else "",
        html.Div(buttons, className="actions") if data["total"] else "",
        html.Ul(id="search-list", className="tasks search-list"),
        _pages(data, last),
    )


def _pages(data: Data, last: int) -> Any:
    places = []
    if data["start"] > 0:
        places.append(("Before", max(0, data["start"] - data["count"])))
    if last < data["total"]:
        places.append(("Next", last))
    links = []
    for text, start in places:
        where: dict[str, Any] = {"data-start": str(start)}
        links.append(html.Button(text, className="button plain small", **where))
    return html.Nav(links, className="pages", **parts.aria(label="More of what is found")) if links else ""


def _chosen(data: Data) -> Any:
    labels = [("", "choose a label"), *((label, label) for label in data["labels"])]
    first = [
        html.Button("Ask these first", id="search-ask", className="button", disabled=True),
        html.Button("Choose none", id="search-none", className="button plain", disabled=True),
    ]
    look = html.Button("Look before labelling", id="search-look", className="button plain", disabled=True)
    return parts.section(
        "Chosen",
        html.P("No task is chosen.", id="search-count-told", role="status"),
        html.Div(first, className="actions"),
        html.Div([field("Label all of them as", menu(labels, "", "search-as")), look], className="form search-label"),
        html.P(id="search-answer", role="status", className="note"),
        html.Div(id="search-preview", hidden=True, tabIndex=-1, role="region", **parts.aria(label="Before labelling")),
        topic="many at once",
    )


def _many(data: Data) -> Any:
    where = parts.out("Account & Settings", data["account"])
    token = dcc.Input(id="search-token", type="password", autoComplete="off")
    return parts.section(
        "Labelled many at once",
        html.Div(field("Your Label Studio access token", token), className="form"),
        html.P([WHOSE_NAME, " You find it in Label Studio under ", where, "."], className="note"),
        html.P(id="search-undo-answer", role="status", className="note"),
        html.Progress(id="search-progress", className="bar", hidden=True, **parts.aria(label="How far it is")),
        html.Ul(id="search-actions", className="many"),
        topic="many at once",
    )


def register(app: Dash, services: Services) -> None:
    """Run the script when the page appears."""
    del services
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("search", "open"), Output("search-opened", "data"), Input("search-data", "data")
    )


PAGE = Page("search", "Search", read, view, register)
