"""Part of the overview about rounds: the one in progress, and buttons and settings for the next one."""

from __future__ import annotations

from typing import Any, Final

from dash import ALL, Dash, Input, Output, State, dcc, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import ask, cancel_round, store_of
from ml_backend.dashboard.pages.base import Data
from ml_backend.dashboard.reading.form import changes
from ml_backend.dashboard.reading.overview import read_overview
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError

AFTERWARDS: Final = ("map", "random arm", "measure")
"""Steps of a round that come after its order is served."""
MOST_NAMED: Final = 3
"""Most projects that are named if a round waits for others."""


def round_section(pulse: dict[str, Any] | None) -> Any:
    """The round in progress, or when the next one comes; a small part that is redrawn every moment."""
    if not pulse:
        return None
    progress = pulse.get("progress")
    if progress:
        step = words.step(progress["step"])
        share = "" if progress["share"] is None else f", {words.percent(progress['share'], 0)} of it done"
        stands = " The new order is served already." if progress["step"] in AFTERWARDS else ""
        told = [html.Strong("A round is under way: "), f"{step}{share}. {_how_long(progress)}{stands}"]
        return _under_way(told, progress["share"], f"Progress of: {step}")
    if pulse["running"]:
        return _under_way(html.Strong(_waiting(pulse["waits_for"])), None, "Waiting for the round")
    if pulse["labels_to_go"] is not None:
        waiting = words.count(pulse["labels_waiting"], "new label")
        seconds = words.duration(pulse["seconds_to_go"] or 0)
        again = f" It failed {pulse['failures']} times before." if pulse["failures"] else ""
        labels = words.count(pulse["labels_to_go"], "label")
        if not pulse["labels_waiting"]:  # a round whose own tasks were imported, say, finds that nothing is to be done
            changed = "The project has changed, without a new label so far"
            return parts.notice(
                f"{changed}: what is new is looked at in {labels}, or in {seconds} at the latest.{again}"
            )
        return parts.notice(f"Next round in {labels}, or in {seconds} at the latest; {waiting} so far.{again}")
    return None


def _under_way(told: Any, share: float | None, name: str) -> html.Div:
    """A round with its progress, and a button beside it that cancels it."""
    bar = parts.bar(round(100 * share), 100, name=name) if share is not None else parts.bar(0, 0, name=name)
    return html.Div([html.Div([html.P(told), _cancel_button()], className="beside"), bar], className="notice")


def _how_long(told: dict[str, Any]) -> str:
    """How long a round has been running, and what is left of the usual time."""
    seconds, usual = told["seconds"], told["usual"]
    since = f"Under way for {words.duration(seconds)}" if seconds else "It has just begun"
    if usual is None:
        return f"{since}."
    if usual > seconds:
        left = words.duration(max(usual - seconds, 1))
        return f"{since}; about {left} left (a training round here takes {words.duration(max(usual, 1))})."
    return f"{since}; the last rounds took {words.duration(usual)}."


def _waiting(ahead: list[dict[str, Any]]) -> str:
    """What the round waits for, since when, and how long that usually takes."""
    if not ahead:
        return "The round is about to start: what trains is being made ready."
    more = f" and {words.count(len(ahead) - MOST_NAMED, 'other')}" if len(ahead) > MOST_NAMED else ""
    return f"The round waits for {', '.join(map(_named, ahead[:MOST_NAMED]))}{more}."


def _named(other: dict[str, Any]) -> str:
    name = f"project {other['project']}" + (f", “{other['title']}”" if other["title"] else "")
    told = []
    if other["step"]:
        told.append(f"{words.step(other['step'])} for {words.duration(other['seconds'])}")
    if other["usual"]:
        told.append(f"its rounds take about {words.duration(max(other['usual'], 1))}")
    return f"{name} ({'; '.join(told)})" if told else name


def _cancel_button() -> html.Button:
    return html.Button("Cancel", id="cancel-round", n_clicks=0, className="button plain")


def section(data: Data) -> html.Section:
    """The settings of the rounds, and what starts one."""
    rule = data["next_round"]
    starts = "Order anew" if (data["queue"] or {}).get("foreign") else "Train now"  # nothing of ours is trained there
    buttons: list[Any] = [html.Button(starts, id="train", n_clicks=0, className="button")]
    if data["roll_back_to"]:
        buttons.append(
            dcc.ConfirmDialogProvider(
                html.Button("Roll back", n_clicks=0, className="button plain"),
                id="roll-back",
                message=f"Serve {data['roll_back_to']} again, and keep it until it is unpinned?",
            )
        )
    if data["pinned"]:
        buttons.append(html.Button(f"Unpin {data['pinned']}", id="unpin", n_clicks=0, className="button plain"))
    buttons.append(
        html.A(
            "Open in Label Studio", href=data["label_studio"], target="_blank", rel="noopener", className="button plain"
        )
    )
    fields = [_field(row) for row in data["form"]]
    form = html.Details(
        [
            html.Summary("Settings of the rounds"),
            html.P(
                ["They hold for this round and all later ones; empty means the default.", parts.explain("settings")],
                className="note",
            ),
            html.Div(fields, className="form"),
        ],
        id="train-settings",
    )
    note = (
        f"A round starts by itself after {words.count(rule['every_labels'], 'label')}, or "
        f"{rule['every_seconds']:g} seconds after the first new one."
    )
    return parts.section(
        "Rounds",
        form,
        html.Div(buttons, className="actions"),
        html.Div(id="train-answer", role="status"),
        note=note,
        topic="rounds",
    )


def _field(row: dict[str, Any]) -> html.Div:
    """A setting: a menu if its values are registered names, and a box to type into if other values are possible."""
    name, value, default = row["name"], row["value"], f"Default: {_default(row)}."
    box: dict[str, Any] = {
        "id": {"type": "setting", "name": name},
        "type": "text",
        "value": "" if value is None else str(value),
        "placeholder": _default(row),
        "autoComplete": "off",
        "spellCheck": "false",
    }
    label, control = row["label"], list[Any]()
    if not row.get("options"):
        control = [html.Label([html.Span(label, className="field-name"), dcc.Input(**box)])]
    elif row["typed"]:
        typed = html.Label([html.Span("or a mixture", className="field-name"), dcc.Input(**box)])
        control = [_menu(row), typed]
    else:
        control = [_menu(row), dcc.Input(**box | {"type": "hidden"})]
    return html.Div(
        [
            *control,
            html.Div([default, f" {_sentence(row['note'])}" if row["note"] else ""], className="hint"),
            html.Div(id={"type": "problem", "name": name}, className="problem", role="alert"),
        ],
        className="field wide" if row.get("options") else "field",
    )


def _default(row: dict[str, Any]) -> str:
    return "chosen from the labels" if row["default"] is None else str(row["default"])


def _menu(row: dict[str, Any]) -> html.Div:
    """A native menu with a sentence per entry; ``assets/select.js`` writes the choice into the setting's box."""
    default = str(row["default"])
    chosen = default if row["value"] is None else str(row["value"])
    entries = []
    for name, told in row["options"]:
        remark = " (default)" if name == default else ""
        entries.append(html.Option(f"{name}{remark}: {told}" if told else name, value=name, selected=chosen == name))
    if chosen not in dict(row["options"]):
        entries.insert(0, html.Option(chosen, value=chosen, selected=True))
    identity = f"setting-menu-{row['name']}"
    fills: dict[str, Any] = {"data-fills": row["name"]}
    return html.Div(
        [
            html.Label(row["label"], htmlFor=identity, className="field-name"),
            html.Select(entries, id=identity, **fills),
        ]
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def register(app: Dash, services: Services) -> None:
    """The round under way, and the buttons."""

    @app.callback(Output("overview-round", "children"), Input("pulse", "data"), Input("overview-key", "data"))
    def show_round(pulse: dict[str, Any] | None, key: Any) -> Any:
        del key
        return round_section(pulse)

    @app.callback(
        Output("train-answer", "children", allow_duplicate=True),
        Input("cancel-round", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None, path: str) -> Any:
        return cancel_round(services, path) if clicks else no_update

    _register_train(app, services)
    _register_pins(app, services)


def _register_train(app: Dash, services: Services) -> None:
    @app.callback(
        Output("train-answer", "children"),
        Output({"type": "problem", "name": ALL}, "children"),
        Output("train-settings", "open"),
        Input("train", "n_clicks"),
        State({"type": "setting", "name": ALL}, "value"),
        State({"type": "setting", "name": ALL}, "id"),
        State("url", "pathname"),
        prevent_initial_call=True,
        running=[(Output("train", "disabled"), True, False)],
    )
    def train(clicks: int, values: list[str | None], ids: list[dict[str, str]], path: str) -> tuple[Any, Any, Any]:
        names = [each["name"] for each in ids]
        if not clicks:
            return no_update, [no_update for _ in names], no_update
        try:
            store = store_of(services, path)
            wanted, wrong = changes(services.settings, store, dict(zip(names, values, strict=True)))
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error"), ["" for _ in names], no_update
        if wrong:
            answer = parts.notice("Nothing was started: correct the marked settings.", "error")
            return answer, [wrong.get(name, "") for name in names], True
        answer = ask(services, path, settings=wanted)
        return answer, ["" for _ in names], no_update


def _register_pins(app: Dash, services: Services) -> None:
    @app.callback(
        Output("train-answer", "children", allow_duplicate=True),
        Input("roll-back", "submit_n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def roll_back(clicks: int | None, path: str) -> Any:
        if not clicks:
            return no_update
        try:
            before = read_overview(services, store_of(services, path))["roll_back_to"]
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error")
        if before is None:
            return parts.notice("There is no version to go back to.", "error")
        return ask(services, path, f"{before} will be served, and kept.", train=False, pin=before)

    @app.callback(
        Output("train-answer", "children", allow_duplicate=True),
        Input("unpin", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def unpin(clicks: int | None, path: str) -> Any:
        if not clicks:
            return no_update
        return ask(services, path, "The newest good version will be served.", train=False, unpin=True)
