"""Learning curves as a picture (PNG) and as a page that needs no network (HTML)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ml_backend.evaluation.learning_curves import Curve, band, mean_curve
from ml_backend.extras import require
from ml_backend.files import atomic
from ml_backend.simulation.report import BASELINE

COLORS: Final = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
    "#ee7733", "#009988", "#882255", "#999933", "#332288", "#dd99cc",
)  # fmt: skip
"""Told apart by most colour-blind people (Paul Tol's bright, vibrant and muted schemes)."""
BASELINE_COLOR: Final = "#555555"

Curves = Mapping[str, Mapping[int, Curve]]


def write_plots(folder: Path, curves: Curves, *, title: str, measure: str, targets: Sequence[float]) -> list[Path]:
    """``learning_curves.png`` and ``.html``: the mean of each strategy, and from its worst to its best seed.

    Raises:
        ConfigurationError: the packages that draw are missing.
    """
    require("The picture of the curves", "plotly", "matplotlib")
    png, html = folder / "learning_curves.png", folder / "learning_curves.html"
    _draw_png(png, curves, title, measure, targets)
    _draw_html(html, curves, title, measure, targets)
    return [png, html]


def _colors(names: Sequence[str]) -> dict[str, str]:
    others = [name for name in names if name != BASELINE]
    chosen = {name: COLORS[i % len(COLORS)] for i, name in enumerate(others)}
    return chosen | {BASELINE: BASELINE_COLOR}


def _dash(name: str, names: Sequence[str]) -> bool:
    """Whether a strategy's line is dashed: random's, and those of the second round of colours."""
    others = [other for other in names if other != BASELINE]
    return name == BASELINE or others.index(name) >= len(COLORS)


def _draw_png(path: Path, curves: Curves, title: str, measure: str, targets: Sequence[float]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)  # the canvas without a screen; pyplot would keep every figure alive
    axes = figure.add_subplot()
    names, colors = list(curves), _colors(list(curves))
    for target in targets:
        axes.axhline(target, color="#bbbbbb", linewidth=0.7, zorder=0)
    for name in names:
        mean, (labels, low, high) = mean_curve(curves[name]), band(curves[name])
        style = "--" if _dash(name, names) else "-"
        axes.plot(
            mean.labels, mean.values, style, color=colors[name], label=f"{name} ({len(curves[name])})", marker="."
        )
        axes.fill_between(labels, low, high, color=colors[name], alpha=0.12, linewidth=0)
    axes.set(xlabel="labels", ylabel=measure, title=title)
    axes.grid(alpha=0.25)
    axes.legend(title="strategy (seeds)", fontsize="small", loc="lower right")
    atomic.write_with(path, figure.savefig)


def _draw_html(path: Path, curves: Curves, title: str, measure: str, targets: Sequence[float]) -> None:
    from plotly.graph_objects import Figure

    figure = Figure()
    names, colors = list(curves), _colors(list(curves))
    for name in names:
        mean, (labels, low, high) = mean_curve(curves[name]), band(curves[name])
        group = {"legendgroup": name, "line_color": colors[name]}
        both = {"x": [*labels, *labels[::-1]], "y": [*high, *low[::-1]]}
        figure.add_scatter(
            **both, **group, fill="toself", opacity=0.15, line_width=0, hoverinfo="skip", showlegend=False
        )
        dash = "dash" if _dash(name, names) else "solid"
        figure.add_scatter(
            x=mean.labels, y=mean.values, **group, name=f"{name} ({len(curves[name])})", mode="lines+markers",
            line_dash=dash,
        )  # fmt: skip
    for target in targets:
        figure.add_hline(target, line_color="#bbbbbb", line_width=1)
    figure.update_layout(
        title=title, xaxis_title="labels", yaxis_title=measure, template="plotly_white", legend_title="strategy (seeds)"
    )
    atomic.write_text(path, figure.to_html(include_plotlyjs=True))
