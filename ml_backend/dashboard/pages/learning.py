"""How good the versions are, by labels."""

from __future__ import annotations

from typing import Any, Final

from dash import Dash, Input, Output, State, html, no_update

from ml_backend.dashboard import parts, words
from ml_backend.dashboard.actions import store_of
from ml_backend.dashboard.figures import MEASURES, curve_figure, curve_points, loss_figure
from ml_backend.dashboard.pages.base import Data, Page, View
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError

LOSS_NOTE: Final = (
    "How far the model's probabilities were from the labels while it was trained: 0 is perfect. Evaluation tasks are "
    "only looked at on the way: they teach the model nothing, and stop no training."
)


def read(view: View) -> Data:
    """The curve's data; ``measure`` of the address chooses what is drawn first."""
    wanted = view.parameters.get("measure", "")
    link = view.services.label_studio_link(view.project_id)
    found = read_learning(view.store) | {"label_studio": link}
    return found | {"measure": wanted if wanted in MEASURES else "accuracy"}


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
            parts.section(
                "How good, with how many labels",
                html.Div(choice, className="form pickers"),
                chart,
                _saved(data) or "",
                topic="accuracy",
            )
        )
    else:
        content.append(parts.not_measured(data["numbers"], data["label_studio"]))
    losses = [row for row in data["versions"] if row["loss"]]
    if losses:
        names = [row["name"] for row in reversed(losses)]
        choice = parts.select("Version", names, names[0], identity="loss-version")
        pickers = html.Div(choice, className="form pickers")
        chart = html.Div(loss_part(losses[-1]), id="loss")
        content.append(parts.section("How a training went", pickers, chart, note=LOSS_NOTE, topic="loss"))
    return parts.page("Learning curve", *content, lead=lead)


def curve_part(data: Data, measure: str) -> Any:
    """The chart of one measure, and its table."""
    rows = [row for row in data["versions"] if row[measure] is not None]
    name = MEASURES[measure]
    if not rows:
        return parts.notice(f"No version has an {name}: the evaluation tasks need labels of two classes.")
    served, held_back = curve_points(data["versions"], measure)
    if not served:
        summary = "No version was served: each was clearly worse than the one before."
    elif len(served) == 1:
        summary = f"{name} is {words.percent(served[0][measure])} with {words.count(served[0]['labels'], 'label')}."
    else:
        first, last = served[0], served[-1]
        summary = (
            f"{name} went from {words.percent(first[measure])} with {first['labels']:,} labels to "
            f"{words.percent(last[measure])} with {last['labels']:,}."
        )
    if held_back:
        summary += (
            f" {words.count(len(held_back), 'version')} held back: clearly worse than the one before, not served."
        )
    table = parts.table(
        ("Version", "Labels", name, "95 % interval", "Evaluation tasks"),
        [
            (
                html.Td(row["name"], className="code"),
                f"{row['labels']:,}",
                words.percent(row[measure]),
                words.between(row["intervals"].get(measure)) or words.MISSING,
                f"{row['evaluated']:,}",
            )
            for row in rows
        ],
        caption=f"{name} by version",
        numbers=(1, 2, 3, 4),
    )
    drawn = parts.graph(
        curve_figure(data, measure), name=f"{name} against labels", summary=summary, identity="curve-graph"
    )
    return [drawn, html.Details([html.Summary("As a table"), table])]


def _saved(data: Data) -> Any:
    saved = data["labels_saved"]
    if not saved:
        note = f"Labels saved: not known yet. It {data['saved_missing'] or 'needs another round'}."
        return html.P([note, parts.explain("labels saved")], className="note")
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
        f"{row['name']}: loss on the labels learnt from {loss[0]:.3f} at first, {loss[-1]:.3f} after "
        f"{words.count(len(loss), 'epoch')}"
    )
    if validation:
        lowest, epoch = min(zip(validation["loss"], validation["epochs"], strict=True))
        summary += (
            f"; of {words.count(validation['items'], 'evaluation task')}, "
            f"{validation['loss'][-1]:.3f} at the end, lowest ({lowest:.3f}) at epoch {epoch:,}"
        )
    chart = loss_figure(row)
    return parts.graph(chart, name="Loss by epoch", summary=f"{summary}.", identity="loss-graph", height=300)


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
