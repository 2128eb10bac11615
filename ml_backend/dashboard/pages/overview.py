"""Where the project stands, and the buttons that start something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from dash import Dash, Input, Output, State, dcc, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import project_of
from ml_backend.dashboard.pages import overview_corrections, overview_doctor, overview_pool, overview_rounds
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.form import read_form
from ml_backend.dashboard.reading.overview import read_overview
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.records import CONTROL

ENOUGH_LIVE: Final = 20
"""With this many answers to control tasks, their share is taken as it is."""
FEWEST_LIVE: Final = 5
"""With fewer answers to control tasks than this, their share says nothing."""
SOURCES: Final = {"labels": "the labels alone", "pool": "all tasks, labelled or not"}
Figure = tuple[str, Any, Any, str | None]
"""See `parts.figures`."""


def read(view: View) -> Data:
    """The present state, and the settings that the form offers."""
    now = read_overview(view.services, view.store)
    return now | {"form": read_form(view.services.settings, view.store), "now": datetime.now(UTC).isoformat()}


def view(data: Data) -> Any:
    """Figures and the round above, buttons and settings below."""
    lead = ["Project ", str(data["project"]), " · ", parts.out("Open in Label Studio", data["label_studio"])]
    return parts.page(
        "Overview",
        html.Div(id="overview-round"),
        html.Div(live(data), id="overview-live", className="page"),
        overview_rounds.section(data),
        overview_doctor.section(data),
        dcc.Store(id="overview-key", data=_key(data)),
        lead=lead,
    )


def live(data: Data) -> list[Any]:
    """The part that a round changes."""
    content: list[Any] = [parts.notice(problem, "error") for problem in data["problems"]]
    failed = (data["round"] or {}).get("error")
    if failed:
        advice = " The order of the round before still holds. It is tried again by itself after new labels."
        content.append(parts.notice(f"The last round failed: {failed}{advice}", "error"))
    if (data["queue"] or {}).get("foreign"):
        asked = html.P(f"{data['asks'] or data['queue']['strategy']}.", className="note")
        content.append(parts.section("Ordered by another model's predictions", parts.figures(_counted(data)), asked))
        content.append(overview_corrections.section(data))
    elif data["version"] is None:
        content.append(_empty(data))
        content += [parts.section("So far", parts.figures(_counted(data)))] if data["queue"] else []
    else:
        content.append(_standing(data))
    content += overview_pool.section(data)
    content += [_stop_or_go(data)] if data["hint"] and data["version"] else []
    if data["warnings"] and (data["version"] or (data["queue"] or {}).get("foreign")):
        items = html.Ul([html.Li(text) for text in data["warnings"]])
        note = _when(data["warned"], data)
        content.append(parts.section("What the last round warns of", items, note=f"It ended {note}."))
    return content


def _empty(data: Data) -> html.Div:
    if data["labels"] is None:
        step = ["The first round reads what is labelled; it starts by itself, or by “Train now” below. ", _open(data)]
        return parts.nothing_yet("The labels are not counted yet.", step)
    if not data["labels"]:
        first = "The first order stands. " if data["queue"] else ""
        step = [f"{first}Open the project in Label Studio and label tasks of two classes: ", _open(data), "."]
        return parts.nothing_yet("No labels yet.", step)
    done = words.count(data["labels"], "label")
    told = " ".join(data["warnings"]) or "Press “Train now” below, or label on."
    return parts.nothing_yet(f"{done}, and no model yet.", [f"{told} ", _open(data)])


def _when(moment: str, data: Data) -> str:
    return words.ago(moment, datetime.fromisoformat(data["now"]))


def _open(data: Data) -> html.A:
    return parts.out("Label All Tasks", data["label_studio"])


def _takes_sets(data: Data) -> bool:
    """Whether an answer has several labels."""
    return ((data["version"] or {}).get("metrics") or {}).get("f_micro") is not None


def _standing(data: Data) -> html.Section:
    version, before = data["version"], data["before"]
    metrics = version["metrics"] or {}
    then = (before or {}).get("metrics") or {} if data["comparable"] else {}
    names = [("accuracy", "Accuracy", "accuracy"), ("f_macro", "F-score", "f-score"), ("auc", "AUC", "AUC")]
    if metrics.get("f_positive") is not None:
        names[1] = ("f_positive", f"F-score of “{metrics['positive']}”", "f-score")
    if _takes_sets(data):
        names[0] = ("accuracy", "Whole sets right", "whole sets")
        names.insert(2, ("f_micro", "F-score of all choices", "whole sets"))
    rows: list[Figure] = []
    for name, label, topic in names:
        change = words.change(metrics.get(name), then.get(name)) or None
        rows.append((label, words.percent(metrics.get(name)), change, topic))
    if not metrics:
        rows = [("Accuracy", words.MISSING, _unmeasured(data["numbers"]), "evaluation tasks")]
    labels, *queue = _counted(data)
    rows = [labels, *rows, *queue]
    pinned = " · pinned" if data["pinned"] == version["name"] else ""
    trained = words.ago(version["created_at"], datetime.fromisoformat(data["now"]))
    note = [html.Span(version["name"], className="code"), f" · trained {trained}{pinned}"]
    if then:
        note.append(f" · changes against {before['name']}, on the same evaluation tasks")
    content: list[Any] = [parts.figures(rows), _explained(data)]
    if data["guesses"]:
        told = f"This model is {data['guesses']}. Its guesses are not shown to annotators."
        content.append(parts.notice(told, "warning"))
    if data["held_back"]:
        content.append(
            parts.notice(
                f"{data['held_back']} has the newest labels but is clearly worse: it is not served.", "warning"
            )
        )
    return parts.section("Current version", *content, note=note)


def _counted(data: Data) -> list[Figure]:
    """What people answered: labels, and what became of the queue if there is one."""
    count, queue = words.MISSING if data["labels"] is None else f"{data['labels']:,}", data["queue"]
    when = f", {_when(data['counted'], data)}" if data["counted"] else ""
    told = None if data["open_tasks"] is None else f"{data['open_tasks']:,} tasks are open{when}{_in_bulk(data)}"
    rows: list[Figure] = [("Labels so far", count, told, "labels")]
    if queue:
        answered = words.MISSING if queue["answered"] is None else f"{queue['answered']:,}"
        told = f"answered · by {queue['strategy']}"
        rows.append(("Queue", f"{answered} of {queue['size']:,}", told, "queue"))
    return rows


def _in_bulk(data: Data) -> str:
    """How many of the labels were given to many tasks at once; empty if none."""
    bulk = (data["numbers"] or {}).get("bulk")
    return f" · {bulk:,} of the labels given many at once" if bulk else ""


def _unmeasured(counted: Data | None) -> str:
    """Why the version has no accuracy."""
    done, held_out = (counted or {}).get("evaluation", 0), (counted or {}).get("held_out", 0)
    if not held_out:
        return "no task is held out to measure it with"
    if not done:
        return f"none of the {words.count(held_out, 'evaluation task')} is labelled yet"
    return f"the next round measures it on {words.count(done, 'labelled evaluation task')}"


def _explained(data: Data) -> html.Dl:
    """What the version learnt from, how the other questions stand, and what is asked now."""
    why, source = data["version"]["learnt_why"], SOURCES.get(data["version"]["learnt_from"])
    told = (why or "").removeprefix("learnt from ") or source
    rows = [
        ("Learnt from", told, "learning from tasks without a label"),
        ("Beside it", "; ".join(data["beside"]), "several questions"),
        ("Asked now", data["asks"], "strategies"),
    ]
    cells = [
        cell
        for name, text, topic in rows
        if text
        for cell in (html.Dt([name, parts.explain(topic)]), html.Dd(f"{text}."))
    ]
    return html.Dl(cells, className="facts-list")


def _stop_or_go(data: Data) -> html.Section:
    """What more labels would bring, how good the model is on open tasks, and what the order has saved."""
    text: list[Any] = [html.P(data["hint"], className="hint-sentence")]
    if data["guesses"]:
        text.insert(0, html.P(f"The model is {data['guesses']}.", className="hint-sentence"))
    live = (data["live"] or {}).get(CONTROL)
    if live and live["n"] < FEWEST_LIVE:
        lacking = words.count(FEWEST_LIVE - live["n"], "more answer")
        told = f"How good the model is on what is open is not known yet: it needs {lacking} to control tasks."
        text.append(html.P([told, parts.explain("control tasks")], className="note"))
    elif live:
        label = "exactly the labels" if _takes_sets(data) else "the label"
        told = (
            f"On the last {words.count(live['n'], 'control task')} people gave {label} that the model had guessed in "
            f"{words.percent(live['accuracy'], 0)} of cases ({words.percent(live['low'], 0)} to "
            f"{words.percent(live['high'], 0)}): so good it is on what is open."
        )
        lacking = ENOUGH_LIVE - live["n"]
        more = f" {words.count(lacking, 'more answer')} to control tasks would make that surer." if lacking > 0 else ""
        text.append(html.P([told, more, parts.explain("control tasks")], className="note"))
    text.append(html.P([_saved(data), parts.explain("labels saved")], className="note"))
    return parts.section("Go on or stop?", *text, topic="going on")


def _saved(data: Data) -> str:
    saved = data["labels_saved"]
    if not saved:
        return f"Labels saved: not known yet. It {data['saved_missing'] or 'needs another round'}."
    most = " or more" if saved["at_least"] else ""
    needed, gain = saved["random_labels"], saved["saved"]
    return (
        f"These {saved['labels']:,} labels are worth about {needed['value']:,.0f} random ones "
        f"({needed['low']:,.0f} to {needed['high']:,.0f}{most}): {gain['value']:+,.0f} labels saved."
    )


def _key(data: Data) -> list[Any]:
    """The facts that the live part depends on."""
    pulse = (data["round"] or {}).get("round"), (data["version"] or {}).get("name")
    return [*pulse, (data["queue"] or {}).get("name"), data["next_round"]["labels_waiting"], data["numbers"]]


def register(app: Dash, services: Services) -> None:
    """Live parts and buttons."""
    overview_rounds.register(app, services)
    overview_doctor.register(app, services)

    @app.callback(
        Output("overview-live", "children"),
        Output("overview-key", "data"),
        Input("pulse", "data"),
        State("overview-key", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def show_live(pulse: dict[str, Any] | None, key: list[Any], path: str) -> tuple[Any, Any]:
        names = ("round", "version", "queue", "labels_waiting", "numbers")
        if not pulse or [pulse[name] for name in names] == key:
            return no_update, no_update
        try:
            project_id = project_of(path)
            data = read(View(services, project_id, services.store(project_id), {}))
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error"), no_update
        return live(data), _key(data)


PAGE = Page("overview", "Overview", read, view, register, live=True)
