"""The files of ``lsal report``: an HTML page with its charts inside, and the same charts as PNG."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import ml_backend.dashboard
from ml_backend.dashboard import charts, words
from ml_backend.dashboard.figures import MEASURES, confusion_figure, curve_figure, loss_figure
from ml_backend.dashboard.media import content_type, image_bytes
from ml_backend.dashboard.reading.common import media_field
from ml_backend.dashboard.reading.learning import read_learning
from ml_backend.dashboard.reading.mistakes import read_mistakes
from ml_backend.dashboard.reading.overview import read_overview
from ml_backend.dashboard.reading.versions import read_versions
from ml_backend.dashboard.report_plots import write_plots
from ml_backend.dashboard.services import Services
from ml_backend.errors import StoreError
from ml_backend.extras import require
from ml_backend.files import for_people
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.store.project_store import ProjectStore

STYLE: Final = Path(ml_backend.dashboard.__file__).parent / "assets" / "dashboard.css"
MISTAKES: Final = 48
CONFIG: Final = {"displaylogo": False, "responsive": True}


def write_report(services: Services, project_id: int, out: Path) -> list[Path]:
    """Write everything. Returns the paths, the page first.

    Raises:
        ConfigurationError: the packages for drawing are missing.
        StoreError: nothing is known about the project, or the folder cannot be written.
    """
    require("The report", "plotly", "matplotlib")
    store = services.store(project_id)
    overview, learning = read_overview(services, store), read_learning(store)
    mistakes, versions = read_mistakes(store, limit=MISTAKES), read_versions(store)
    page = html_report(services, store, overview, learning, mistakes, versions)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for_people.write_text(out / "report.html", page)
        return [out / "report.html", *write_plots(out, learning, mistakes)]
    except OSError as exc:
        raise StoreError(f"Cannot write to {out} ({exc}); choose another folder with --out.") from exc


def html_report(
    services: Services,
    store: ProjectStore,
    overview: dict[str, Any],
    learning: dict[str, Any],
    mistakes: dict[str, Any],
    versions: dict[str, Any],
) -> str:
    """One page with styles, scripts and images inside. Users' texts are escaped, also in charts."""
    from plotly.offline import get_plotlyjs

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
        height = 420 if len(mistakes["drawn"]) <= 12 else 720
        if mistakes["drawn"]:
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
    # Inside a script, "<" could end it; escaped, it is the same JSON.
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
    rare = metrics.get("f_positive")
    name = "F-score" if rare is None else f"F-score of “{escape(str(metrics['positive']))}”"
    figures += [(name, words.percent(metrics.get("f_macro") if rare is None else rare))]
    figures += [("AUC", words.percent(metrics.get("auc")))]
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
    """Image tags with the images inside, for tasks that have one."""
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
        figures = [words.percent(value) for value in (metrics.get("accuracy"), f_score, metrics.get("auc"))]
        cells = [row["name"], row["created_at"][:16].replace("T", " "), f"{row['labels']:,}", *figures]
        rows.append("".join(f"<td>{escape(cell)}</td>" for cell in [*cells, ", ".join(row["use"])]))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
