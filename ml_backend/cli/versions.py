"""Model versions of a project: list, show, roll back, pin, export, delete. Only `rollback` needs Label Studio."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, messages, new_app, tell_errors, warn
from ml_backend.errors import StoreError

if TYPE_CHECKING:
    from ml_backend.store.manifest import Manifest
    from ml_backend.store.project_store import ProjectStore

PATIENCE: Final = 10.0
"""Seconds to wait for a round of the project that is under way."""
ModelDirOption = Annotated[Path | None, typer.Option(help="Folder of model versions. [default: MODEL_DIR]")]
VersionArgument = Annotated[str, typer.Argument(help="Name of the version, or its number.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = new_app()


class Measure(StrEnum):
    """What the best version can be chosen by: keys of a manifest's metrics."""

    F_MACRO = "f_macro"
    ACCURACY = "accuracy"
    AUC = "auc"


@app.callback(help=__doc__)
def main() -> None:
    """Only names the commands."""


@app.command("list")
@tell_errors
def list_versions(project: ProjectOption, as_json: JsonOption = False, model_dir: ModelDirOption = None) -> None:
    """Show all versions, oldest first: what they were trained on, how good they are, which one is in use."""
    store = _store(project, model_dir)
    rows = [_row(store, name) for name in store.versions()]
    if as_json:
        console.print_json(json.dumps(rows))
        return
    from rich.table import Table

    table = Table("version", "created", "labels", "accuracy", "F", "AUC", "promoted", "in use", "size")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


@app.command()
@tell_errors
def show(
    project: ProjectOption, version: VersionArgument, as_json: JsonOption = False, model_dir: ModelDirOption = None
) -> None:
    """Show everything about one version."""
    from rich.table import Table

    from ml_backend.store.versions import find_version, size

    store = _store(project, model_dir)
    name = find_version(store, version)
    content = store.manifest(name).model_dump(mode="json") | {"bytes": size(store, name), "use": _use(store, name)}
    if as_json:
        console.print_json(json.dumps(content))
        return
    table = Table.grid(padding=(0, 2))
    for field, value in content.items():
        table.add_row(field, Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    console.print(table)


@app.command()
@tell_errors
def rollback(
    project: ProjectOption,
    version: Annotated[str | None, typer.Argument(help="Name or number. [default: the one used before]")] = None,
    model_dir: ModelDirOption = None,
    url: UrlOption = None,
) -> None:
    """Serve an older version: publish an order scored by it, and pin it, so that the next round does not undo it."""
    from ml_backend.cli.observer import ProgressObserver
    from ml_backend.rounds.project_round import workspace
    from ml_backend.rounds.record import record_round
    from ml_backend.rounds.request import RoundRequest
    from ml_backend.store.registry import stores_of
    from ml_backend.store.versions import find_version, version_before

    settings, client = connect(url)
    if model_dir:
        settings = settings.model_copy(update={"model_dir": model_dir})
    store = stores_of(settings).get(client.project(project).uid)
    name = find_version(store, version) if version else version_before(store)
    with ProgressObserver(messages) as observer:
        report = record_round(
            workspace(settings, client), RoundRequest(project, "rollback", train=False, pin=name), observer=observer
        )
    for warning in report.warnings:
        warn(f"  {warning}")
    if report.published and report.queue:
        text = f"Project {project} now serves {report.queue.name}: {len(report.queue.predictions):,} tasks"
    else:
        text = f"Project {project} has no tasks to order: from the next round on it serves {name}"
    console.print(f"{text}; {name} is pinned until lsal versions unpin.", highlight=False, soft_wrap=True)


@app.command()
@tell_errors
def unpin(project: ProjectOption, model_dir: ModelDirOption = None) -> None:
    """Let the next round serve the newest promoted version again."""
    pinned = _store(project, model_dir).unpin(timeout=PATIENCE)
    text = (
        f"{pinned} is no longer pinned; the next round (or lsal sync) decides anew." if pinned else "None was pinned."
    )
    console.print(text, highlight=False, soft_wrap=True)


@app.command()
@tell_errors
def export(
    project: ProjectOption,
    out: Annotated[Path, typer.Option(help="A new or empty folder.", file_okay=False)],
    version: Annotated[str | None, typer.Argument(help="Name or number. [default: the one in use]")] = None,
    best: Annotated[bool, typer.Option("--best", help="Take the best one on the evaluation tasks.")] = False,
    by: Annotated[Measure, typer.Option(help="What is best.")] = Measure.F_MACRO,
    model_dir: ModelDirOption = None,
) -> None:
    """Copy a version to a folder, with a small example that classifies with it."""
    from ml_backend.store.versions import best_version, export_version, find_version

    if best and version:
        raise typer.BadParameter("give a version or --best, not both")
    store = _store(project, model_dir)
    if best:
        name = best_version([store.manifest(each) for each in store.versions()], by.value)
    else:
        name = find_version(store, version) if version else _in_use(store)
    export_version(store, name, out)
    console.print(f"Exported {name} to {out}; {out / 'example.py'} shows its use.", highlight=False, soft_wrap=True)


@app.command()
@tell_errors
def delete(project: ProjectOption, version: VersionArgument, model_dir: ModelDirOption = None) -> None:
    """Delete a version, which must be neither in use nor pinned. A round with the same labels trains it again."""
    from ml_backend.store.versions import find_version

    store = _store(project, model_dir)
    with store.lock(timeout=PATIENCE):
        name = find_version(store, version)
        store.delete_version(name)
    console.print(f"Deleted {name}.", highlight=False, soft_wrap=True)


def _store(project: int, model_dir: Path | None) -> ProjectStore:
    from ml_backend.config import load_settings
    from ml_backend.store.registry import stores_of
    from ml_backend.store.remote import shown_url

    settings = load_settings(model_dir=model_dir)
    store = stores_of(settings).open(project)
    if store is None:
        shared = f" or {shown_url(settings.store_url.get_secret_value())}" if settings.store_url else ""
        place = f"{settings.model_dir.resolve()}{shared}"
        raise StoreError(f"Nothing of project {project} is stored in {place}: check --project and MODEL_DIR.")
    return store


def _in_use(store: ProjectStore) -> str:
    name = store.current().version
    if name is None:
        raise StoreError("No model is in use yet; name a version (lsal versions list), or train one.")
    return name


def _use(store: ProjectStore, name: str) -> str:
    current = store.current()
    uses = {"current": current.version, "pinned": current.pinned}
    return ", ".join(word for word, used in uses.items() if used == name)


def _row(store: ProjectStore, name: str) -> dict[str, Any]:
    """One version of the list; a damaged one is told apart instead of hiding the others."""
    from ml_backend.store.versions import size

    try:
        manifest: Manifest | None = store.manifest(name)
        size_in_bytes: int | None = size(store, name)
    except (StoreError, OSError):  # deleted meanwhile, or damaged
        manifest = size_in_bytes = None
    metrics = (manifest and manifest.metrics) or {}
    return {
        "version": name,
        "damaged": manifest is None,
        "created_at": manifest.created_at.isoformat() if manifest else None,
        "labels": manifest.examples if manifest else None,
        "accuracy": metrics.get("accuracy"),
        "f": metrics.get("f_positive") if metrics.get("f_positive") is not None else metrics.get("f_macro"),
        "auc": metrics.get("auc"),
        "promoted": manifest.promoted if manifest else None,
        "use": _use(store, name),
        "bytes": size_in_bytes,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    if row["damaged"]:
        return [row["version"], "damaged", "", "", "", "", "", row["use"], ""]
    created = datetime.fromisoformat(row["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
    figures = ["-" if row[name] is None else f"{row[name]:.3f}" for name in ("accuracy", "f", "auc")]
    promoted = "yes" if row["promoted"] else "no"
    return [
        row["version"],
        created,
        f"{row['labels']:,}",
        *figures,
        promoted,
        row["use"],
        f"{row['bytes'] / 1e6:.1f} MB",
    ]
