"""The report's charts as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml_backend.dashboard import charts
from ml_backend.dashboard.axes import count_axis, percent_axis
from ml_backend.dashboard.figures import LABELS_AXIS, MEASURES, curve_points
from ml_backend.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI: Final = 150


def write_plots(out: Path, learning: dict[str, Any], mistakes: dict[str, Any]) -> Iterator[Path]:
    """Draw everything there is to draw, one file after the other. Yields their paths."""
    import matplotlib as mpl

    style: dict[Any, Any] = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}
    # Users' dollar signs are not formulas.
    with mpl.rc_context({**style, "text.parse_math": False, "savefig.dpi": DPI}):
        for measure, name in MEASURES.items():
            if any(row[measure] is not None for row in learning["versions"]):
                yield _save(_curve(learning, measure, name), out / f"{measure}.png")
        trained = [row for row in learning["versions"] if row["loss"]]
        if trained:
            yield _save(_loss(trained[-1]), out / "loss.png")
        if mistakes["drawn"]:
            yield _save(_confusion(mistakes), out / "confusion.png")


def _axes(x: str, y: str, *, size: tuple[float, float] = (7, 4)) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    atomic.write_with(path, figure.savefig)
    return path


def _curve(learning: dict[str, Any], measure: str, name: str) -> Figure:
    """The same chart as `figures.curve_figure`."""
    served, held_back = curve_points(learning["versions"], measure)
    models = learning["random"]["models"] if measure == "accuracy" else []
    axis = count_axis([row["labels"] for row in [*served, *held_back, *models]])
    figure, axes = _axes(LABELS_AXIS[axis.is_log], name)
    if models:
        _with_intervals(axes, models, measure, color=charts.QUIET, fmt="o", label="random order")
    if served and any(row["intervals"].get(measure) for row in served):
        rows = [{"low": row[measure], "high": row[measure]} | row | row["intervals"].get(measure, {}) for row in served]
        _with_intervals(axes, rows, measure, color=charts.COLOURS[0], fmt="o-", label="order by the model")
    elif served:
        labels, values = [row["labels"] for row in served], [row[measure] for row in served]
        axes.plot(labels, values, marker="o", color=charts.COLOURS[0], label="order by the model")
    if held_back:
        labels, values = [row["labels"] for row in held_back], [row[measure] for row in held_back]
        axes.plot(labels, values, "x", color=charts.COLOURS[5], label="held back")
    axes.set_xscale("log" if axis.is_log else "linear")
    axes.set_xticks(axis.ticks, axis.texts)
    axes.set_xticks([], minor=True)
    axes.set_xlim(axis.low, axis.high)
    low, high = axes.get_ylim()
    shares = percent_axis([low, high])
    axes.set_yticks(shares.ticks, shares.texts)
    axes.set_ylim(shares.low, shares.high)
    if models or held_back:
        axes.legend(frameon=False)
    return figure


def _with_intervals(axes: Any, rows: Sequence[dict[str, Any]], measure: str, **style: Any) -> None:
    """Points with their ``low`` and ``high``."""
    height = np.array([row[measure] for row in rows])
    reach = np.abs([[row["low"], row["high"]] for row in rows] - height[:, None]).T
    axes.errorbar([row["labels"] for row in rows], height, yerr=reach, capsize=3, **style)


def _loss(row: dict[str, Any]) -> Figure:
    figure, axes = _axes("epoch (one pass over the labels)", "loss")
    epochs = range(1, len(row["loss"]) + 1)
    axes.plot(epochs, row["loss"], color=charts.COLOURS[0], label="labels learnt from")
    if row["validation"]:
        seen = row["validation"]
        axes.plot(seen["epochs"], seen["loss"], color=charts.COLOURS[1], marker="o", label="evaluation tasks")
        axes.legend(frameon=False)
    axis = count_axis(epochs, by_ratio=False)
    axes.set_xticks(axis.ticks, axis.texts)
    return figure


def _confusion(mistakes: dict[str, Any]) -> Figure:
    labels, counts = mistakes["drawn"], np.array(mistakes["confusion"], dtype=np.float64)
    totals = np.maximum(np.array(mistakes["row_totals"], dtype=np.float64), 1)
    few = len(labels) <= 25
    figure, axes = _axes("the model says", "people say", size=(6, 5.5) if few else (9, 8.5))
    axes.grid(visible=False)
    axes.imshow(counts / totals[:, None], cmap="Blues", vmin=0, vmax=1.4)
    step = 1 if few else -(-len(labels) // 25)
    positions = range(0, len(labels), step)
    shown = [labels[i] if len(labels[i]) <= 18 else labels[i][:17] + "…" for i in positions]
    axes.set_xticks(positions, shown, rotation=45, ha="right")
    axes.set_yticks(positions, shown)
    if len(labels) <= 12:
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(j, i, f"{counts[i, j]:,.0f}", ha="center", va="center")
    return figure
