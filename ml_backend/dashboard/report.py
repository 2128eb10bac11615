"""The files of `scripts/report.py`: HTML with its charts inside, and the same charts as PNG."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from plotly.offline import get_plotlyjs

import ml_backend.dashboard
from ml_backend.dashboard import charts, words
from ml_backend.dashboard.media import content_type, image_bytes
from ml_backend.dashboard.pages.learning import MEASURES, curve_figure, loss_figure
from ml_backend.dashboard.pages.mistakes import confusion_figure
from ml_backend.dashboard.reading.common import media_field
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.reading.mistakes import read_mistakes
from ml_backend.dashboard.reading.overview import read_overview
from ml_backend.dashboard.reading.versions import read_versions
from ml_backend.dashboard.services import Services
from ml_backend.errors import StoreError
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.store.project_store import ProjectStore

STYLE: Final = Path(ml_backend.dashboard.__file__).parent / "assets" / "dashboard.css"
MISTAKES: Final = 48
DPI: Final = 150
CONFIG: Final = {"displaylogo": False, "responsive": True}


def write_report(services: Services, project_id: int, out: Path) -> list[Path]:
    """Write everything; the paths, the page first.

    Raises:
        StoreError: nothing of the project is known, or the folder cannot be written.
    """
    store = services.store(project_id)
    overview, learning = read_overview(services, store), read_learning(store)
    mistakes, versions = read_mistakes(store, limit=MISTAKES), read_versions(store)
    page = html_report(services, store, overview, learning, mistakes, versions)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").write_text(page, encoding="utf-8")
        return [out / "report.html", *_plots(out, learning, mistakes)]
    except OSError as exc:
        raise StoreError(f"Cannot write to {out} ({exc}); choose another folder with --out.") from exc


# --- HTML ---------------------------------------------------------------------------------------------------------


def html_report(
    services: Services,
    store: ProjectStore,
    overview: dict[str, Any],
    learning: dict[str, Any],
    mistakes: dict[str, Any],
    versions: dict[str, Any],
) -> str:
    """One page with styles, scripts and images inside. Texts of users are escaped, in charts as well."""
    title = escape(overview["title"])
    sections = [_standing(overview)]
    if any(row["accuracy"] is not None for row in learning["versions"]):
        sections += [
            _section(f"{name} against labels", _chart(f"curve-{measure}", curve_figure(learning, measure)))
            for measure, name in MEASURES.items()
            if any(row[measure] is not None for row in learning["versions"])
        ]
    trained = [row for row in learning["versions"] if row["loss"]]
    if trained:
        sections.append(_section(f"Loss of {trained[-1]['name']} by epoch", _chart("loss", loss_figure(trained[-1]))))
    if mistakes["version"]:
        height = 420 if len(mistakes["labels"]) <= 12 else 720
        sections.append(_section("Confusion matrix", _chart("confusion", confusion_figure(mistakes), height)))
        sections.append(_section("Errors, the most confident first", _mistakes(services, store, mistakes)))
    sections.append(_section("Stored versions", _versions(versions)))
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style><script>{get_plotlyjs()}</script></head>"
        f'<body><main><div class="page"><div><h1>{title}</h1>'
        f'<p class="lead">Project {overview["project"]}, {written}</p></div>'
        f"{''.join(sections)}</div></main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{content}</section>'


def _chart(name: str, figure: charts.Figure, height: int = 380) -> str:
    # Inside a script "<" could end it: as an escape it is the same JSON.
    content = json.dumps([figure["data"], figure["layout"], CONFIG]).replace("<", "\\u003c")
    return (
        f'<div id="{name}" style="height:{height}px"></div>'
        f"<script>Plotly.newPlot({json.dumps(name)}, ...{content})</script>"
    )


def _standing(overview: dict[str, Any]) -> str:
    version = overview["version"]
    if version is None:
        return _section("Current version", "<p>No model yet.</p>")
    metrics = version["metrics"] or {}
    figures = [("Labels", f"{overview['labels'] or 0:,}"), ("Accuracy", words.percent(metrics.get("accuracy")))]
    figures += [("F-score (macro)", words.percent(metrics.get("f_macro"))), ("AUC", words.percent(metrics.get("auc")))]
    cells = "".join(f'<div><dt>{name}</dt><dd class="value">{value}</dd></div>' for name, value in figures)
    hint = f"<p>{escape(overview['hint'])}</p>" if overview["hint"] else ""
    name = f'<p class="note">{escape(version["name"])}</p>'
    return _section("Current version", f'{name}<dl class="figures">{cells}</dl>{hint}')


def _mistakes(services: Services, store: ProjectStore, mistakes: dict[str, Any]) -> str:
    if not mistakes["mistakes"]:
        return "<p>None on the evaluation tasks.</p>"
    images = _images(store, [row["task"] for row in mistakes["mistakes"]])
    items = []
    for row in mistakes["mistakes"]:
        link = escape(services.label_studio_link(int(store.uid.split(".", 1)[0]), row["task"]))
        text = (row["item"] or {}).get("text")
        shown = images.get(row["task"]) or f"<blockquote>{escape(text or '')}</blockquote>"
        told = f"People: <strong>{escape(row['target'])}</strong><br>Model: {escape(row['guess'])} "
        told += f"({words.percent(row['confidence'], 0)})"
        items.append(f'<li class="task">{shown}<p>{told}</p><p><a href="{link}">Task {row["task"]}</a></p></li>')
    note = f'<p class="note">{mistakes["wrong"]:,} of {mistakes["evaluated"]:,} tasks, {len(items):,} shown.</p>'
    return f'{note}<ul class="tasks">{"".join(items)}</ul>'


def _images(store: ProjectStore, task_ids: Iterable[int]) -> dict[int, str]:
    """Image tags with the images inside, of tasks that have one."""
    field = media_field(store)
    if field is None or not store.task_cache_path.exists():
        return {}
    found = {}
    for task in TaskCache(store.task_cache_path).find(task_ids):
        content = image_bytes(store, task, field)
        kind = content_type(content) if content else None
        if content and kind:
            body = base64.b64encode(content).decode()
            found[task.id] = f'<img alt="Image of task {task.id}" src="data:{kind};base64,{body}">'
    return found


def _versions(versions: dict[str, Any]) -> str:
    if not versions["versions"]:
        return "<p>None yet.</p>"
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Version", "Trained", "Labels", *MEASURES.values(), "Use")
    )
    rows = []
    for row in versions["versions"]:
        if row["damaged"]:
            continue
        metrics = row["metrics"] or {}
        f_score = metrics.get("f_positive") if metrics.get("f_positive") is not None else metrics.get("f_macro")
        figures = [words.figure(value) for value in (metrics.get("accuracy"), f_score, metrics.get("auc"))]
        cells = [row["name"], row["created_at"][:16].replace("T", " "), f"{row['labels']:,}", *figures]
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in [*cells, ", ".join(row["use"])]))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


# --- PNG ----------------------------------------------------------------------------------------------------------


def _plots(out: Path, learning: dict[str, Any], mistakes: dict[str, Any]) -> Iterator[Path]:
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
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path)
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
