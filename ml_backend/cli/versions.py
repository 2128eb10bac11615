"""Model versions of a project: list, show, roll back, pin, export, delete. Only `rollback` needs Label Studio."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, tell_errors, warn
from ml_backend.cli.joining import NowOption, joined, joined_round
from ml_backend.errors import StoreError

if TYPE_CHECKING:
    from ml_backend.config import Settings
    from ml_backend.store.project_store import ProjectStore

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
    from ml_backend.cli.version_table import print_versions, version_row

    _, store = _store(project, model_dir)
    rows = [version_row(store, name) for name in store.versions()]
    if as_json:
        console.print_json(json.dumps(rows))
    else:
        print_versions(console, rows)
        for row in rows:
            if row["guesses"]:
                console.print(f"{row['version']} is {row['guesses']}.", highlight=False, soft_wrap=True, markup=False)


@app.command()
@tell_errors
def show(
    project: ProjectOption, version: VersionArgument, as_json: JsonOption = False, model_dir: ModelDirOption = None
) -> None:
    """Show everything about one version."""
    from rich.table import Table

    from ml_backend.cli.version_table import use_of
    from ml_backend.store.versions import find_version, size

    _, store = _store(project, model_dir)
    name = find_version(store, version)
    content = store.manifest(name).model_dump(mode="json") | {"bytes": size(store, name), "use": use_of(store, name)}
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
    now: NowOption = False,
    url: UrlOption = None,
) -> None:
    """Serve an older version: publish an order scored by it, and pin it, so that the next round does not undo it."""
    from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest
    from ml_backend.store.registry import stores_of
    from ml_backend.store.versions import find_version, version_before

    settings, client = connect(url)
    if model_dir:
        settings = settings.model_copy(update={"model_dir": model_dir})
    store = stores_of(settings).get(client.project(project).uid)
    name = find_version(store, version) if version else version_before(store)
    request = RoundRequest(project, "rollback", train=False, pin=name)
    report = joined_round(settings, client, request, ORDINARY_RUN, now=now)
    for warning in report.warnings:
        warn(f"  {warning}")
    if report.published and report.queue:
        text = f"Project {project} now serves {report.queue.name}: {len(report.queue.predictions):,} tasks"
    else:
        text = f"Project {project} has no tasks to order: from the next round on it serves {name}"
    console.print(f"{text}; {name} is pinned until lsal versions unpin.", highlight=False, soft_wrap=True)


@app.command()
@tell_errors
def unpin(project: ProjectOption, model_dir: ModelDirOption = None, now: NowOption = False) -> None:
    """Let the next round serve the newest promoted version again."""
    settings, store = _store(project, model_dir)
    pinned = joined(store.unpin, project, settings, now=now)
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
    best: Annotated[
        bool, typer.Option("--best", help="Export the version that is best on the evaluation tasks.")
    ] = False,
    by: Annotated[Measure, typer.Option(help="What is best.")] = Measure.F_MACRO,
    model_dir: ModelDirOption = None,
) -> None:
    """Copy a version to a folder, with a small example that classifies with it."""
    from ml_backend.store.versions import best_version, export_version, find_version

    if best and version:
        raise typer.BadParameter("give a version or --best, not both")
    _, store = _store(project, model_dir)
    if best:
        name = best_version([store.manifest(each) for each in store.versions()], by.value)
    else:
        name = find_version(store, version) if version else _in_use(store)
    export_version(store, name, out)
    console.print(f"Exported {name} to {out}; {out / 'example.py'} shows its use.", highlight=False, soft_wrap=True)
    if not (best or version) and name != (newest := store.versions()[-1]):  # the last tasks may be in it alone
        console.print(
            f"{newest} is newer, but not in use: lsal versions list shows both. Name it to export it.",
            highlight=False,
            soft_wrap=True,
        )
    if guesses := store.manifest(name).guesses:
        console.print(f"{name} is {guesses}.", highlight=False, soft_wrap=True, markup=False)


@app.command()
@tell_errors
def delete(
    project: ProjectOption, version: VersionArgument, model_dir: ModelDirOption = None, now: NowOption = False
) -> None:
    """Delete a version, which must be neither in use nor pinned. A round with the same labels trains it again."""
    from ml_backend.store.versions import find_version

    settings, store = _store(project, model_dir)

    def attempt() -> str:
        with store.lock():
            name = find_version(store, version)
            store.delete_version(name)
            return name

    name = joined(attempt, project, settings, now=now)
    console.print(f"Deleted {name}.", highlight=False, soft_wrap=True)


def _store(project: int, model_dir: Path | None) -> tuple[Settings, ProjectStore]:
    from ml_backend.config import load_settings
    from ml_backend.store.registry import stores_of
    from ml_backend.store.remote import shown_url

    settings = load_settings(model_dir=model_dir)
    store = stores_of(settings).open(project)
    if store is None:
        shared = f" or {shown_url(settings.store_url.get_secret_value())}" if settings.store_url else ""
        place = f"{settings.model_dir.resolve()}{shared}"
        raise StoreError(f"Nothing of project {project} is stored in {place}: check --project and MODEL_DIR.")
    return settings, store


def _in_use(store: ProjectStore) -> str:
    name = store.current().version
    if name is None:
        raise StoreError("No model is in use yet; name a version (lsal versions list), or train one.")
    return name
