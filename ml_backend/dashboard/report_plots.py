"""The report's charts as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ml_backend.dashboard import charts
from ml_backend.dashboard.figures import MEASURES
from ml_backend.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI: Final = 150


def write_plots(out: Path, learning: dict[str, Any], mistakes: dict[str, Any]) -> Iterator[Path]:
    """Draw what there is to be drawn, one file after the other; their paths."""
    import matplotlib as mpl

    style: dict[Any, Any] = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}
    # Dollar signs of users are no formulas.
    with mpl.rc_context({**style, "text.parse_math": False, "savefig.dpi": DPI}):
        for measure, name in MEASURES.items():
            rows = [row for row in learning["versions"] if row[measure] is not None]
            if rows:
                yield _save(_curve(rows, learning, measure, name), out / f"{measure}.png")
        trained = [row for row in learning["versions"] if row["loss"]]
        if trained:
            yield _save(_loss(trained[-1]), out / "loss.png")
        if mistakes["version"]:
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


def _curve(rows: Sequence[dict[str, Any]], learning: dict[str, Any], measure: str, name: str) -> Figure:
    figure, axes = _axes("labels", name.lower())
    models = learning["random"]["models"] if measure == "accuracy" else []
    if models:
        height = np.array([model["accuracy"] for model in models])
        reach = np.abs([[model["low"], model["high"]] for model in models] - height[:, None]).T
        sizes = [model["labels"] for model in models]
        axes.errorbar(sizes, height, yerr=reach, fmt="o", color=charts.QUIET, capsize=3, label="random labels alone")
    labels, values = [row["labels"] for row in rows], [row[measure] for row in rows]
    axes.plot(labels, values, marker="o", color=charts.COLOURS[0], label="active order")
    if models:
        axes.legend(frameon=False)
    return figure


def _loss(row: dict[str, Any]) -> Figure:
    figure, axes = _axes("epoch", "loss (nats)")
    axes.plot(range(1, len(row["loss"]) + 1), row["loss"], color=charts.COLOURS[0], label="training")
    if row["validation"]:
        seen = row["validation"]
        axes.plot(seen["epochs"], seen["loss"], color=charts.COLOURS[1], marker="o", label="validation")
        axes.legend(frameon=False)
    return figure


def _confusion(mistakes: dict[str, Any]) -> Figure:
    labels, counts = mistakes["labels"], np.array(mistakes["confusion"], dtype=np.float64)
    few = len(labels) <= 25
    figure, axes = _axes("the model says", "people say", size=(6, 5.5) if few else (9, 8.5))
    axes.grid(visible=False)
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1.4)
    step = 1 if few else -(-len(labels) // 25)
    positions = range(0, len(labels), step)
    shown = [labels[i] if len(labels[i]) <= 18 else labels[i][:17] + "…" for i in positions]
    axes.set_xticks(positions, shown, rotation=45, ha="right")
    axes.set_yticks(positions, shown)
    if len(labels) <= 12:
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(j, i, f"{counts[i, j]:,.0f}", ha="center", va="center")
    return figure
