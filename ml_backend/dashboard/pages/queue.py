"""What comes next, why, and what a person can change about it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from dash import dcc, html

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.address import link
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.pages.filters import filters
from ml_backend.dashboard.reading import queues
from ml_backend.dashboard.reading.pool import filter_from
from ml_backend.errors import ConfigurationError
from ml_backend.records import CONTROL, PINNED
from ml_backend.store.queue_reorderings import INSTANT

WHY: Final = {
    CONTROL: "control task",
    INSTANT: "instant: an answer since the last round brought it forward",
    PINNED: "pinned by a person",
}
BESIDE: Final = {
    "skipped": "skipped",
    "gone": "deleted",
    "elsewhere": "answered outside it since the last round",
}
STATES: Final = {"answered": "answered", "skipped": "skipped", "gone": "not in the project any more"}


def read(view: View) -> Data:
    """A part of the queue, see `queues.read`. ``start`` and ``count`` say which part; ``label``, ``guess``, ... filter.

    Raises:
        ConfigurationError: one of them is not a number.
    """
    start, count = (_number(view, name, default) for name, default in (("start", 0), ("count", queues.PAGE)))
    found = queues.read(view.store, start, max(1, min(count, queues.MOST)), filter_from(view.parameters, queues.STATES))
    studio = view.services.label_studio_link(view.project_id)
    return found | {"project": view.project_id, "label_studio": studio, "task_link": f"{studio}?task="}


def _number(view: View, name: str, default: int) -> int:
    text = view.parameters.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ConfigurationError(f'"{name}" must be a number, such as {name}=50.')
    return int(text)


def view(data: Data) -> Any:
    """The page; `assets/overrides.js` sends what its buttons say."""
    lead = [
        "What Label Studio serves next under ",
        parts.out("Label All Tasks", data["label_studio"]),
        ", first to last.",
    ]
    if not data["total"]:
        overview = dcc.Link("overview", href=link(f"{data['project']}/overview"))
        what = "Nothing is queued." if data["queue"] else "No queue has been published yet."
        empty = parts.nothing_yet(
            what, ["Import tasks that are not labelled, then press Train now on the ", overview, "."]
        )
        return parts.page("Queue", empty, *_overrides(data), lead=lead)
    told = html.P(id="override-answer", role="status", className="note")
    return parts.page("Queue", _facts(data), *_overrides(data), _filter(data), _rows(data, told), lead=lead)


def _filter(data: Data) -> Any:
    """Which tasks of the queue to show; `assets/filters.js` puts it into the address."""
    asked = data["asked"]
    # The key makes a field that is no longer used a new one, so that it does not keep what was typed.
    form = html.Div(filters(data["labels"], queues.STATES, asked, "queue-only"), className="form", key=str(asked))
    buttons = [html.Button("Show them", className="button plain", **_sends("queue-only"))]
    buttons += [html.Button("Show all", className="button plain", **_sends(""))] if asked else []
    told = f"Show only some ({data['found']:,} of {data['total']:,} are shown)" if asked else "Show only some"
    content = [html.Summary(told), form, html.Div(buttons, className="actions")]
    return html.Details(content, className="card filters", id="queue-only", open=bool(asked))


def _sends(form: str) -> dict[str, Any]:
    return {"data-filters": form}


def _facts(data: Data) -> Any:
    control = "without a guess, also in Label Studio: they measure the model" if data["control"] else None
    figures = [
        ("Queued", f"{data['total']:,}", f"by {data['strategy']}", "queue"),
        *_answered((data["numbers"] or {}).get("queue")),
        ("Pinned", f"{data['pinned']:,}", None, "pinning"),
        ("Control tasks", f"{data['control']:,}", control, "control tasks"),
    ]
    return parts.section("Now", parts.figures(figures), _made_of(data["parts"]))


def _answered(queue: Data | None) -> list[tuple[str, str, str, str]]:
    """What has become of the queue's tasks; empty if nobody has counted."""
    if queue is None:
        return []
    other = [f"{queue[name]:,} {words}" for name, words in BESIDE.items() if queue[name]]
    return [("Answered", f"{queue['answered']:,}", ", ".join([f"{queue['waiting']:,} wait", *other]), "queue")]


def _made_of(found: list[Data]) -> Any:
    """What each strategy of the queue asks first, and its share."""
    entries = []
    for part in found:
        share = f"{words.percent(part['share'], 0)} of the model's picks, " if len(found) > 1 and part["share"] else ""
        told = f": {part['asks']} ({share}{words.count(part['tasks'], 'task')})."
        entries.append(html.Li([html.Strong(part["name"]), told]))
    return html.Ul(entries, className="note") if entries else html.Div()


def _rows(data: Data, told: Any) -> Any:
    last = data["start"] + len(data["rows"])
    if data["asked"]:
        head = f"{data['found']:,} of {data['total']:,} queued tasks"
    else:
        head = f"Places {data['start'] + 1:,} to {last:,}"
    items = [_row(row, data) for row in data["rows"]]
    return html.Section(
        [
            html.Div([html.H2(head, id="h-places"), parts.explain("reasons")], className="explained"),
            told,
            html.Ol(items, className=f"queue {_looks(data['rows'])}", start=str(data["start"] + 1)),
            _pages(data, last),
        ],
        className="card",
        **parts.aria(labelledby="h-places"),
        **_api(data),
    )


def _row(row: Data, data: Data) -> Any:
    """One task.

    On a phone its reason and buttons appear with “Why” (``assets/more.js``), which keeps the queue short.
    """
    task = row["task_id"]
    guess: list[Any] = ["guess not shown" if row["why"] == CONTROL else "no guess yet"]
    if row["regions"] is not None:
        guess = [f"{words.count(row['regions'], 'region')} shown"]
    if row["guess"] is not None:
        guess = [html.Span("Guess: ", className="word"), f"{row['guess']}, {words.percent(row['confidence'], 0)}"]
    said = [
        html.Span(WHY.get(row["why"], row["why"]), className=f"why {_kind(row)}"),
        *([html.Span(STATES[row["state"]], className="why done")] if row["state"] in STATES else []),
        *([html.Span("dropped", className="why done")] if row["wish"] == "dropped" else []),
        html.Span(guess, className="quiet guess"),
    ]
    told = "drawn at random, to measure the model by" if row["why"] == CONTROL else row["reason"]
    reason = [html.P(_sentence(told))] if told else []
    about: dict[str, Any] = {"data-more": f"task-{task}"}
    return html.Li(
        [
            html.Span(f"{row['place']:,}", className="place"),
            parts.item(row["item"], task),
            html.Div(said, className="said"),
            html.Button(
                "Why", className="more", **about, **parts.aria(expanded="false", label=f"Why, and change: task {task}")
            ),
            html.Div([*reason, parts.out(f"Task {task}", f"{data['task_link']}{task}")], className="facts"),
            _buttons(row),
        ],
        className="queued",
        id=f"task-{task}",
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _looks(rows: list[Data]) -> str:
    """On a phone, images are side by side and texts below each other."""
    return "pictures" if any("image" in (row["item"] or {}) for row in rows) else "texts"


def _kind(row: Data) -> str:
    return {CONTROL: "control", PINNED: "pinned"}.get(row["why"], "model")


def _buttons(row: Data) -> Any:
    task = row["task_id"]
    if row["state"] != "waiting":
        return html.Div(className="actions")
    if row["wish"] == "dropped":
        return html.Div([_button("undo", "Undo drop", task)], className="actions")
    pinned = row["wish"] == "first"
    first = _button("undo", "Unpin", task) if pinned else _button("pin", "Pin", task)
    return html.Div([_button("boost", "Ask next", task), first, _button("drop", "Drop", task)], className="actions")


def _button(action: str, text: str, task: int) -> Any:
    facts: dict[str, Any] = {"data-override": action, "data-task": str(task)}
    return html.Button(text, className="button plain small", **facts, **parts.aria(label=f"{text}: task {task}"))


def _pages(data: Data, last: int) -> Any:
    def place(text: str, start: int) -> Any:
        asked = urlencode({**data["asked"], "start": start})
        return dcc.Link(text, href=link(f"{data['project']}/queue?{asked}"))

    links = []
    if data["start"] > 0:
        links.append(place("Before", max(0, data["start"] - data["count"])))
    if data["start"] > data["count"]:
        links.insert(0, place("First", 0))
    if last < data["found"]:
        links.append(place("Next", last))
    if last + data["count"] < data["found"]:
        links.append(place("Last", data["found"] - 1))
    return html.Nav(links, className="pages", **parts.aria(label="More of the queue")) if links else html.Div()


def _api(data: Data) -> dict[str, Any]:
    """Where buttons inside the element send overrides."""
    return {"data-api": link(f"api/projects/{data['project']}")}


def _overrides(data: Data) -> list[Any]:
    """Pinned tasks that are not in the queue yet, and dropped ones."""
    content = []
    for name, title, note, action, text in (
        ("ahead", "Pinned for the next order", "A round is putting them in front.", "undo", "Unpin"),
        ("dropped", "Dropped", "Not asked, until somebody takes them back.", "undo", "Take back"),
    ):
        if data[name]:
            total = data[f"{name}_total"]
            more = f" The newest {len(data[name])} of {total:,}." if total > len(data[name]) else ""
            items = [
                html.Li(
                    [parts.item(row["item"], row["task_id"]), _button(action, text, row["task_id"])], className="task"
                )
                for row in data[name]
            ]
            part = parts.section(title, html.Ul(items, className="tasks"), note=note + more)
            content.append(html.Div(part, **_api(data)))
    return content


PAGE = Page("queue", "Queue", read, view)
