"""Where the project stands, and the buttons that start something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import ask, project_of, store_of
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.form import changes, read_form, strategies
from ml_backend.dashboard.reading.overview import read_examination, read_overview
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.rounds.options import RoundOptions

SOURCES: Final = {"labels": "the labels alone", "pool": "the labels and the whole pool"}


def read(view: View) -> Data:
    """The present, and the settings that the form offers."""
    now = read_overview(view.services, view.store)
    return now | {"form": read_form(view.services.settings, view.store), "now": datetime.now(UTC).isoformat()}


def view(data: Data) -> Any:
    """Figures and the round above, buttons and settings below."""
    lead = ["Project ", str(data["project"]), " · ", parts.out("Open in Label Studio", data["label_studio"])]
    return parts.page(
        "Overview",
        html.Div(id="overview-round"),
        html.Div(live(data), id="overview-live", className="page"),
        _next_round(data),
        _doctor(data),
        dcc.Store(id="overview-key", data=_key(data)),
        lead=lead,
    )


def live(data: Data) -> list[Any]:
    """What a round changes."""
    content: list[Any] = [parts.notice(problem, "error") for problem in data["problems"]]
    failed = (data["round"] or {}).get("error")
    if failed:
        advice = " The order of the round before still holds. It is tried again by itself after new labels."
        content.append(parts.notice(f"The last round failed: {failed}{advice}", "error"))
    if data["version"] is None:
        content.append(_empty(data))
    else:
        content.append(_standing(data))
    content += [_stop_or_go(data)] if data["hint"] and data["version"] else []
    if data["warnings"]:
        items = html.Ul([html.Li(text) for text in data["warnings"]])
        content.append(parts.section("What the last round warns of", items))
    return content


def _empty(data: Data) -> html.Div:
    if not data["labels"]:
        step = ["Open the project in Label Studio and label tasks of two classes: ", _open(data), "."]
        return parts.nothing_yet("No labels yet.", step)
    done = words.count(data["labels"], "label")
    step = ["Press “Train now” below, or label on: ", _open(data), "."]
    return parts.nothing_yet(f"{done}, and no model yet.", step)


def _open(data: Data) -> html.A:
    return parts.out("Label All Tasks", data["label_studio"])


def _standing(data: Data) -> html.Section:
    version, before = data["version"], data["before"]
    metrics = version["metrics"] or {}
    then = (before or {}).get("metrics") or {} if data["comparable"] else {}
    names = [("accuracy", "Accuracy"), ("f_macro", "F-score"), ("auc", "AUC")]
    if metrics.get("f_positive") is not None:
        names[1] = ("f_positive", f"F-score of “{metrics['positive']}”")
    rows: list[tuple[str, Any, Any]] = [("Labels so far", f"{data['labels'] or 0:,}", _open_tasks(data))]
    for name, label in names:
        rows.append((label, words.percent(metrics.get(name)), words.change(metrics.get(name), then.get(name)) or None))
    if not metrics:
        rows = [*rows[:1], ("Held-out accuracy", words.MISSING, "no labelled evaluation tasks yet")]
    queue = data["queue"]
    if queue:
        rows.append(("Queue", f"{queue['answered']} of {queue['size']:,}", f"answered · by {queue['strategy']}"))
    pinned = " · pinned" if data["pinned"] == version["name"] else ""
    trained = words.ago(version["created_at"], datetime.fromisoformat(data["now"]))
    note = [html.Span(version["name"], className="code"), f" · trained {trained}{pinned}"]
    if then:
        note.append(f" · changes against {before['name']}, on the same evaluation tasks")
    content: list[Any] = [parts.figures(rows), _explained(data)]
    if data["held_back"]:
        content.append(
            parts.notice(
                f"{data['held_back']} has the newest labels but is clearly worse: it is not served.", "warning"
            )
        )
    return parts.section("Current version", *content, note=note)


def _explained(data: Data) -> html.Dl:
    """What the version learnt from, and what is asked for now."""
    why, source = data["version"]["learnt_why"], SOURCES.get(data["version"]["learnt_from"])
    told = (why or "").removeprefix("learnt from ") or source
    rows = [("Learnt from", told), ("Asked now", data["asks"])]
    return html.Dl(
        [cell for name, text in rows if text for cell in (html.Dt(name), html.Dd(f"{text}."))], className="facts-list"
    )


def _open_tasks(data: Data) -> str | None:
    return None if data["open_tasks"] is None else f"{data['open_tasks']:,} tasks are open"


def _stop_or_go(data: Data) -> html.Section:
    saved = data["labels_saved"]
    text: list[Any] = [html.P(data["hint"], className="hint-sentence")]
    if saved:
        most = " or more" if saved["at_least"] else ""
        needed, gain = saved["random_labels"], saved["saved"]
        text.append(
            html.P(
                f"These {saved['labels']:,} labels are worth about {needed['value']:,.0f} random ones "
                f"({needed['low']:,.0f} to {needed['high']:,.0f}{most}): {gain['value']:+,.0f} labels saved.",
                className="note",
            )
        )
    return parts.section("Go on or stop?", *text)


def round_section(pulse: dict[str, Any] | None) -> Any:
    """The round under way, or when the next one comes; a small part that is drawn anew every moment."""
    if not pulse:
        return None
    progress = pulse.get("progress")
    if progress:
        done, total = int(progress["done"]), int(progress["total"])
        told = f" {done:,} of {total:,}" if total else ""
        step = words.step(progress["step"])
        content = [html.P([html.Strong("A round is under way: "), f"{step}{told}"])]
        return html.Div([*content, parts.bar(done, total, name=f"Progress of: {step}")], className="notice")
    if pulse["running"]:
        return html.Div(
            [html.P(html.Strong("A round is about to start.")), parts.bar(0, 0, name="Waiting for the round")],
            className="notice",
        )
    if pulse["labels_to_go"] is not None:
        waiting = words.count(pulse["labels_waiting"], "new label")
        seconds = words.duration(pulse["seconds_to_go"] or 0)
        again = f" It failed {pulse['failures']} times before." if pulse["failures"] else ""
        labels = words.count(pulse["labels_to_go"], "label")
        return parts.notice(f"Next round in {labels}, or in {seconds} at the latest; {waiting} so far.{again}")
    return None


# --- buttons ------------------------------------------------------------------------------------------------------


def _next_round(data: Data) -> html.Section:
    rule = data["next_round"]
    buttons: list[Any] = [html.Button("Train now", id="train", n_clicks=0, className="button")]
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
            html.P("They hold for this round and all later ones; empty means the default.", className="note"),
            html.Div(fields, className="form"),
            html.Datalist([html.Option(value=name, label=when) for name, when in strategies()], id="strategies"),
        ],
        id="train-settings",
    )
    note = (
        f"A round starts by itself after {words.count(rule['every_labels'], 'label')}, or "
        f"{rule['every_seconds']:g} seconds after the first new one."
    )
    return parts.section(
        "Rounds", form, html.Div(buttons, className="actions"), html.Div(id="train-answer", role="status"), note=note
    )


def _field(row: dict[str, Any]) -> html.Div:
    name, value = row["name"], row["value"]
    more: dict[str, Any] = {"list": "strategies"} if name == "strategy" else {}
    control = dcc.Input(
        id={"type": "setting", "name": name},
        type="text",
        value="" if value is None else str(value),
        placeholder=str(row["default"]),
        autoComplete="off",
        spellCheck="false",
        **more,
    )
    default = f"Default: {row['default']}."
    return html.Div(
        [
            html.Label([html.Span(row["label"], className="field-name"), control]),
            html.Div([default, f" {_sentence(row['note'])}" if row["note"] else ""], className="hint"),
            html.Div(id={"type": "problem", "name": name}, className="problem", role="alert"),
        ],
        className="field",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _doctor(data: Data) -> html.Section:
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
    if not found["findings"]:
        return parts.notice(f"All {found['checks']} checks are fine.", "good")
    return [
        parts.notice([html.Strong(f"{item['name']}: "), item["message"], _remedy(item)], item["status"])
        for item in found["findings"]
    ]


def _remedy(item: dict[str, Any]) -> Any:
    return html.Div(["→ ", item["remedy"]]) if item["remedy"] else ""


def _key(data: Data) -> list[Any]:
    """What the live part depends on."""
    pulse = (data["round"] or {}).get("round"), (data["version"] or {}).get("name")
    return [*pulse, (data["queue"] or {}).get("name"), data["next_round"]["labels_waiting"]]


def register(app: Dash, services: Services) -> None:
    """Live parts and buttons."""

    @app.callback(Output("overview-round", "children"), Input("pulse", "data"), Input("overview-key", "data"))
    def show_round(pulse: dict[str, Any] | None, key: Any) -> Any:
        del key
        return round_section(pulse)

    @app.callback(
        Output("overview-live", "children"),
        Output("overview-key", "data"),
        Input("pulse", "data"),
        State("overview-key", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def show_live(pulse: dict[str, Any] | None, key: list[Any], path: str) -> tuple[Any, Any]:
        if not pulse or [pulse["round"], pulse["version"], pulse["queue"], pulse["labels_waiting"]] == key:
            return no_update, no_update
        try:
            project_id = project_of(path)
            data = read(View(services, project_id, services.store(project_id), {}))
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error"), no_update
        return live(data), _key(data)

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
        answer = ask(services, path, RoundOptions(changes=wanted))
        return answer, ["" for _ in names], no_update

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
        return ask(services, path, RoundOptions(train=False, pin=before), f"{before} will be served, and kept.")

    @app.callback(
        Output("train-answer", "children", allow_duplicate=True),
        Input("unpin", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def unpin(clicks: int | None, path: str) -> Any:
        if not clicks:
            return no_update
        return ask(services, path, RoundOptions(train=False, unpin=True), "The newest good version will be served.")

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
    """Whether the browser shows this already: it sends back what it got, as JSON."""
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


PAGE = Page("overview", "Overview", read, view, register, live=True)
