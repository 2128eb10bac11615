"""The charts that pages and the report share, made from what `reading` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ml_backend.dashboard import charts, words
from ml_backend.dashboard.axes import count_axis, number_axis, percent_axis

DOTTED: Final = 50
"""Up to this many epochs, each is a dot on its line."""
MEASURES: Final = {"accuracy": "Accuracy", "f": "F-score", "auc": "AUC"}
LABELS_AXIS: Final = {False: "labels", True: "labels (logarithmic scale)"}
"""Title of an axis of labels, by whether it is logarithmic."""
FEW: Final = 12
"""Up to this many classes, a cell shows its number."""
FITTING: Final = 40
"""Characters of all labels together up to which they fit side by side."""

Data = dict[str, Any]


def curve_points(rows: Sequence[Data], measure: str) -> tuple[list[Data], list[Data]]:
    """The versions that are joined to a line (one per number of labels), and the others, in the order of training.

    Among versions with the same number of labels, the newest that was served counts. Those held back because they were
    clearly worse are shown, but are not on the line: nobody was served by them.
    """
    measured = [row for row in rows if row[measure] is not None]
    served = {row["labels"]: row for row in measured if row["promoted"]}
    return [served[labels] for labels in sorted(served)], [row for row in measured if not row["promoted"]]


def curve_figure(data: Data, measure: str) -> charts.Figure:
    """The measure of each version against its labels, with intervals; for accuracy also that of random order."""
    served, held_back = curve_points(data["versions"], measure)
    traces = [_version_trace(served, measure, "order by the model")] if served else []
    if held_back:
        traces.append(_version_trace(held_back, measure, "held back") | {"mode": "markers"})
        traces[-1]["marker"] = {"size": 9, "symbol": "x-thin", "line": {"width": 2, "color": charts.COLOURS[5]}}
    if measure == "accuracy":
        now = next((row for row in data["versions"] if row["name"] == data["current"]), None)
        saved = _saved_traces(data["labels_saved"], now["accuracy"]) if data["labels_saved"] and now else []
        traces = [*_random_traces(data["random"]), *traces, *saved]
    x = count_axis([value for trace in traces for value in _reaching(trace, "x")])
    y = percent_axis([value for trace in traces for value in _reaching(trace, "y")])
    return charts.figure(traces, x=LABELS_AXIS[x.is_log], y=MEASURES[measure], xaxis=x.plotly(), yaxis=y.plotly())


def _version_trace(rows: Sequence[Data], measure: str, name: str) -> dict[str, Any]:
    """Versions with the interval of their measure, if it has one."""
    values = [row[measure] for row in rows]
    trace = charts.line([row["labels"] for row in rows], values, name=name, hover=[_told(r, measure) for r in rows])
    between = [row["intervals"].get(measure) for row in rows]
    if not any(between):
        return trace
    # A version without an interval gets a bar of no length.
    lows = [ends["low"] if ends else value for ends, value in zip(between, values, strict=True)]
    highs = [ends["high"] if ends else value for ends, value in zip(between, values, strict=True)]
    return trace | {"error_y": charts.reach(values, lows, highs, colour=charts.COLOURS[0]) | {"thickness": 1}}


def _told(row: Data, measure: str) -> str:
    told = words.between(row["intervals"].get(measure))
    between = f" ({told})" if told else ""
    worse = "" if row["promoted"] else "<br>not served: clearly worse"
    return (
        f"{charts.text(row['name'])}<br>{row['labels']:,} labels<br>"
        f"{MEASURES[measure]} {words.percent(row[measure])}{between}{worse}"
    )


def _reaching(trace: Data, axis: str) -> list[float]:
    """All values of a trace on an axis, including the ends of its intervals."""
    values = [value for value in trace[axis] if value is not None]
    bars = trace.get(f"error_{axis}")
    if not bars:
        return values
    highs = [value + more for value, more in zip(values, bars["array"], strict=True)]
    return [*values, *highs, *(value - less for value, less in zip(values, bars["arrayminus"], strict=True))]


def _random_traces(random: dict[str, Any]) -> list[dict[str, Any]]:
    """Models of random labels with their intervals, and the power law fitted to them."""
    models, traces = random["models"], []
    if not models:
        return []
    if random["curve"]:
        x, y = [point["labels"] for point in random["curve"]], [point["accuracy"] for point in random["curve"]]
        law = charts.line(x, y, name="random order, drawn on", colour=charts.QUIET)
        dotted = {"color": charts.QUIET, "width": 2, "dash": "dot"}
        traces.append(law | {"mode": "lines", "line": dotted, "hoverinfo": "skip"})
    accuracy = [model["accuracy"] for model in models]
    dots = charts.line(
        [model["labels"] for model in models],
        accuracy,
        name="random order",
        hover=[_random_told(model) for model in models],
        colour=charts.QUIET,
    )
    highs, lows = [model["high"] for model in models], [model["low"] for model in models]
    bars = charts.reach(accuracy, lows, highs, colour=charts.QUIET) | {"thickness": 1}
    traces.append(dots | {"mode": "markers", "error_y": bars})
    return traces


def _saved_traces(saved: dict[str, Any], height: float) -> list[dict[str, Any]]:
    """A line at the served version's accuracy, from its labels to the number of random labels that would be as good."""
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


def loss_figure(row: dict[str, Any]) -> charts.Figure:
    """Training loss, and validation loss if the version has one."""
    epochs = list(range(1, len(row["loss"]) + 1))
    training = charts.line(epochs, row["loss"], name="labels learnt from")
    if len(epochs) > DOTTED:
        training["mode"] = "lines"
    traces = [training]
    if row["validation"]:
        seen, losses = row["validation"]["epochs"], row["validation"]["loss"]
        traces.append(charts.line(seen, losses, name="evaluation tasks", colour=charts.COLOURS[1]))
    y = number_axis([value for trace in traces for value in trace["y"]])
    return charts.figure(
        traces,
        x="epoch (one pass over the labels)",
        y="loss",
        xaxis=count_axis(epochs, by_ratio=False).plotly(),
        yaxis=y.plotly(),
    )


def confusion_figure(data: Data) -> charts.Figure:
    """The share of each row that the version gave to each column; hovering shows the counts."""
    labels, counts, totals = data["drawn"], data["confusion"], data["row_totals"]
    shares = [[value / max(1, total) for value in row] for row, total in zip(counts, totals, strict=True)]
    names = [charts.text(label) for label in labels]
    hover = [
        [f"People: {names[i]}<br>Model: {names[j]}<br>{value:,} of {totals[i]:,} tasks" for j, value in enumerate(row)]
        for i, row in enumerate(counts)
    ]
    few = len(labels) <= FEW
    positions = list(range(len(labels)))
    trace = {
        "type": "heatmap",
        "x": positions,
        "y": positions,
        "z": shares,
        "text": [[f"{value:,}" if value else "" for value in row] for row in counts] if few else None,
        "texttemplate": "%{text}" if few else None,
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
        "colorscale": [list(stop) for stop in charts.SCALE],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 1 if few else 0,
        "ygap": 1 if few else 0,
    }
    # With many classes not every name fits, so only as many are shown as can be read.
    every = max(1, -(-len(labels) // 25))
    shown = positions[::every]
    ticks = {"tickvals": shown, "ticktext": [_short(names[i]) for i in shown], "showgrid": False}
    return charts.figure(
        [trace],
        x="the model says",
        y="people say",
        xaxis=ticks | {"side": "bottom", "tickangle": 0 if sum(map(len, labels)) <= FITTING else -45},
        yaxis=ticks | {"autorange": "reversed"},
    )


def _short(name: str) -> str:
    """A tick's text, cut before an escaped character rather than inside it."""
    if len(name) <= 18:
        return name
    cut = name[:17]
    return (cut[: cut.rindex("&")] if "&" in cut and ";" not in cut[cut.rindex("&") :] else cut) + "…"
