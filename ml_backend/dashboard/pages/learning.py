"""How good the versions are, by labels."""

from __future__ import annotations

from typing import Any, Final

from dash import Dash, Input, Output, State, html, no_update

from ml_backend.dashboard import charts, parts, words
from ml_backend.dashboard.actions import store_of
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError

LOSS_NOTE: Final = (
    "Training loss is that of distorted items under dropout (of a model that learns from the pool: against "
    "probabilities, not classes), and can lie above the validation loss. Evaluation tasks are only looked at: they "
    "teach the model nothing, and stop no training."
)
DOTTED: Final = 50
"""Epochs up to which each is a dot on its line."""
MEASURES: Final = {"accuracy": "Accuracy", "f": "F-score", "auc": "AUC"}


def read(view: View) -> Data:
    """The curve's data; ``measure`` of the address chooses what is drawn first."""
    wanted = view.parameters.get("measure", "")
    return read_learning(view.store) | {"measure": wanted if wanted in MEASURES else "accuracy"}


def view(data: Data) -> Any:
    """Curve and losses."""
    lead = "Measured on evaluation tasks, which are never used for training and never queued."
    measured = [row for row in data["versions"] if row["accuracy"] is not None]
    if not data["versions"]:
        return parts.page(
            "Learning curve",
            parts.nothing_yet("No model yet.", "Label tasks of two classes, then press “Train now” on the overview."),
            lead=lead,
        )
    content: list[Any] = [parts.notice(problem, "error") for problem in data["problems"]]
    if measured:
        choice = parts.select("Measure", MEASURES.items(), data["measure"], identity="measure")
        chart = html.Div(curve_part(data, data["measure"]), id="curve")
        content.append(
            parts.section("Against labels", html.Div(choice, className="form pickers"), chart, _saved(data) or "")
        )
    else:
        content.append(
            parts.nothing_yet(
                "No version has been measured.",
                "Mark some tasks with “split”: “evaluation” in their data and label them.",
            )
        )
    losses = [row for row in data["versions"] if row["loss"]]
    if losses:
        names = [row["name"] for row in reversed(losses)]
        choice = parts.select("Version", names, names[0], identity="loss-version")
        pickers = html.Div(choice, className="form pickers")
        chart = html.Div(loss_part(losses[-1]), id="loss")
        content.append(parts.section("Loss by epoch", pickers, chart, note=LOSS_NOTE))
    return parts.page("Learning curve", *content, lead=lead)


def curve_part(data: Data, measure: str) -> Any:
    """The chart of one measure, and its table."""
    rows = [row for row in data["versions"] if row[measure] is not None]
    name = MEASURES[measure]
    if not rows:
        return parts.notice(f"No version has an {name}: the evaluation tasks need labels of two classes.")
    first, last = rows[0], rows[-1]
    summary = (
        f"{name} went from {words.percent(first[measure])} with {first['labels']:,} labels to "
        f"{words.percent(last[measure])} with {last['labels']:,}."
    )
    table = parts.table(
        ("Version", "Labels", name, "Evaluation tasks"),
        [
            (
                html.Td(row["name"], className="code"),
                f"{row['labels']:,}",
                words.percent(row[measure]),
                f"{row['evaluated']:,}",
            )
            for row in rows
        ],
        caption=f"{name} by version",
        numbers=(1, 2, 3),
    )
    drawn = parts.graph(
        curve_figure(data, measure), name=f"{name} against labels", summary=summary, identity="curve-graph"
    )
    return [drawn, html.Details([html.Summary("As a table"), table])]


def curve_figure(data: Data, measure: str) -> charts.Figure:
    """The measure of each version against its labels; for accuracy with the random baseline and the labels saved."""
    rows = [row for row in data["versions"] if row[measure] is not None]
    hover = [
        f"{charts.text(row['name'])}<br>{row['labels']:,} labels<br>{MEASURES[measure]} {words.percent(row[measure])}"
        + ("" if row["promoted"] else "<br>not served: clearly worse")
        for row in rows
    ]
    own = charts.line([row["labels"] for row in rows], [row[measure] for row in rows], name="active order", hover=hover)
    traces = [own]
    if measure == "accuracy":
        served = next((row for row in rows if row["name"] == data["current"]), None)
        saved = _saved_traces(data["labels_saved"], served["accuracy"]) if data["labels_saved"] and served else []
        traces = [*_random_traces(data["random"]), own, *saved]
    return charts.figure(
        traces, x="labels", y=MEASURES[measure].lower(), yaxis={"tickformat": ".0%"}, xaxis={"rangemode": "tozero"}
    )


def _random_traces(random: dict[str, Any]) -> list[dict[str, Any]]:
    """Models of random labels with their intervals, and the power law through them."""
    models, traces = random["models"], []
    if not models:
        return []
    if random["curve"]:
        x, y = [point["labels"] for point in random["curve"]], [point["accuracy"] for point in random["curve"]]
        law = charts.line(x, y, name="random labels, power law", colour=charts.QUIET)
        dotted = {"color": charts.QUIET, "width": 2, "dash": "dot"}
        traces.append(law | {"mode": "lines", "line": dotted, "hoverinfo": "skip"})
    accuracy = [model["accuracy"] for model in models]
    dots = charts.line(
        [model["labels"] for model in models],
        accuracy,
        name="random labels alone",
        hover=[_random_told(model) for model in models],
        colour=charts.QUIET,
    )
    highs, lows = [model["high"] for model in models], [model["low"] for model in models]
    bars = charts.reach(accuracy, lows, highs, colour=charts.QUIET) | {"thickness": 1}
    traces.append(dots | {"mode": "markers", "error_y": bars})
    return traces


def _saved_traces(saved: dict[str, Any], height: float) -> list[dict[str, Any]]:
    """From the labels of the served version to as many random ones as would be as good, at its accuracy."""
    needed, colour = saved["random_labels"], charts.COLOURS[1]
    ends = [saved["labels"], needed["value"]]
    lows, highs = [ends[0], needed["low"]], [ends[0], needed["high"]]
    told = f"{needed['value']:,.0f} random labels ({needed['low']:,.0f} to {needed['high']:,.0f}) would be as good"
    span = charts.line(ends, [height, height], name="labels saved", hover=[told, told], colour=colour)
    dashed = {"color": colour, "dash": "dash"}
    return [span | {"error_x": charts.reach(ends, lows, highs, colour=colour), "line": dashed}]


def _random_told(model: dict[str, Any]) -> str:
    interval = f"{words.percent(model['low'])} to {words.percent(model['high'])}"
    return f"{model['labels']:,} random labels<br>{words.percent(model['accuracy'])} ({interval})"


def _saved(data: Data) -> Any:
    saved = data["labels_saved"]
    if not saved:
        note = "Labels saved: not known yet. It takes evaluation tasks, and a few rounds with a random share."
        return html.P(note, className="note")
    gain, most = saved["saved"], " or more" if saved["at_least"] else ""
    return html.P(
        f"Labels saved against random order: {gain['value']:+,.0f} ({gain['low']:+,.0f} to {gain['high']:+,.0f}{most}, "
        "95 % interval).",
        className="saved",
    )


def loss_part(row: dict[str, Any]) -> Any:
    """Loss of one version by epoch."""
    loss, validation = row["loss"], row["validation"]
    summary = (
        f"{row['name']}: training loss from {loss[0]:.3f} to {loss[-1]:.3f} nats in {words.count(len(loss), 'epoch')}"
    )
    if validation:
        lowest, epoch = min(zip(validation["loss"], validation["epochs"], strict=True))
        summary += (
            f"; validation loss, of {words.count(validation['items'], 'evaluation task')}, "
            f"{validation['loss'][-1]:.3f} at the end, lowest ({lowest:.3f}) at epoch {epoch:,}"
        )
    chart = loss_figure(row)
    return parts.graph(chart, name="Loss by epoch", summary=f"{summary}.", identity="loss-graph", height=300)


def loss_figure(row: dict[str, Any]) -> charts.Figure:
    """Training loss, and validation loss where the version has one."""
    epochs = list(range(1, len(row["loss"]) + 1))
    training = charts.line(epochs, row["loss"], name="training")
    if len(epochs) > DOTTED:
        training["mode"] = "lines"
    traces = [training]
    if row["validation"]:
        seen, losses = row["validation"]["epochs"], row["validation"]["loss"]
        traces.append(charts.line(seen, losses, name="validation", colour=charts.COLOURS[1]))
    return charts.figure(traces, x="epoch", y="loss (nats)", yaxis={"rangemode": "tozero"})


def register(app: Dash, services: Services) -> None:
    """Choices of measure and version."""

    @app.callback(
        Output("curve", "children"), Input("measure", "data"), State("url", "pathname"), prevent_initial_call=True
    )
    def choose_measure(measure: str, path: str) -> Any:
        if measure not in MEASURES:
            return no_update
        try:
            return curve_part(read_learning(store_of(services, path)), measure)
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error")

    @app.callback(
        Output("loss", "children"), Input("loss-version", "data"), State("url", "pathname"), prevent_initial_call=True
    )
    def choose_version(version: str, path: str) -> Any:
        try:
            rows = read_learning(store_of(services, path))["versions"]
        except ActiveLearningError as exc:
            return parts.notice(str(exc), "error")
        row = next((row for row in rows if row["name"] == version and row["loss"]), None)
        return loss_part(row) if row else parts.notice(f"{version} is not stored any more; choose another.", "warning")


PAGE = Page("learning-curve", "Learning curve", read, view, register)
