"""Give many tasks one label, as one action that can be undone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, progress_bar, tell_errors
from ml_backend.cli.search import known_store
from ml_backend.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_backend.store.bulk_actions import BulkAction
    from ml_backend.store.project_store import ProjectStore

SHOWN: Final = 12
"""Tasks that are shown before they get a label."""

app = new_app()


@app.command(help=__doc__)
@tell_errors
def label(
    project: ProjectOption,
    name: Annotated[str, typer.Option("--as", help="The label.")] = "",
    tasks: Annotated[
        str, typer.Option("--tasks", help="Numbers of tasks, such as 4,8,15: what lsal search --ids prints.")
    ] = "",
    go_on: Annotated[
        str, typer.Option("--go-on", metavar="ACTION", help="Do the rest of an action that was broken off.")
    ] = "",
    undo: Annotated[
        str,
        typer.Option("--undo", metavar="ACTION", help="Take back what an action wrote, unless somebody changed it."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    url: UrlOption = None,
) -> None:
    """Label many tasks at once, under the name of whose token LABEL_STUDIO_API_KEY is.

    Tasks that somebody answered or skipped, held-out ones and control tasks are left alone. What would be done is shown
    before. The answers are marked in exports, and left out of the measures.
    """
    from ml_backend.rounds import bulk, bulk_portions
    from ml_backend.store import bulk_actions

    if sum(map(bool, (tasks, go_on, undo))) != 1 or bool(tasks) != bool(name):
        raise ConfigurationError("Give --as and --tasks, or --go-on, or --undo.")
    settings, client = connect(url)
    store = known_store(settings, project)
    if undo:
        done = _all_of(lambda: bulk_portions.undo_portion(client, store, project, undo))
        console.print(bulk.told_undone(done), highlight=False, soft_wrap=True)
        return
    if go_on:
        known = bulk_actions.read(store).get(go_on)
        if known is None:
            raise ConfigurationError(
                f"Nothing is known about the action {go_on}; the page Search lists those there are."
            )
        name, chosen, action = known.label, list(known.tasks), go_on
    else:
        chosen, action = _looked_at(store, name, tasks, yes=yes), uuid.uuid4().hex
    if not chosen:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    console.print(f"To take it back: lsal label --project {project} --undo {action}", highlight=False, soft_wrap=True)
    done = _all_of(lambda: bulk_portions.label_portion(client, store, project, action, name, chosen, now=now))
    console.print(bulk.told_labelled(done), highlight=False, soft_wrap=True)


def _looked_at(store: ProjectStore, name: str, tasks: str, *, yes: bool) -> list[int]:
    """The tasks that can get the label, after somebody has looked at them; empty if they decline."""
    from ml_backend.dashboard.bulk import look
    from ml_backend.dashboard.routes import parse_ids
    from ml_backend.store.bulk_actions import MOST

    found = look(store, {"task_ids": parse_ids(tasks, MOST)})
    ready: list[int] = found["ready"]
    console.print(f"{len(ready):,} tasks would be labelled {name}.", highlight=False, soft_wrap=True)
    for left in found["left"]:
        console.print(f"Left alone: {left['count']:,} {left['why']}.", highlight=False, soft_wrap=True)
    for shown in found["sample"][:SHOWN]:
        text = (shown["item"] or {}).get("text", "")
        console.print(f"  {shown['task_id']}  {' '.join(text.split())[:120]}", highlight=False, markup=False)
    return ready if ready and (yes or typer.confirm("Label them?")) else []


def _all_of(portion: Callable[[], BulkAction]) -> BulkAction:
    """Continue portion by portion until all is done."""
    with progress_bar() as bar:
        shown = bar.add_task("tasks", total=None)
        while True:
            done = portion()
            undone = len(done.taken_back) + len(done.kept)
            bar.update(
                shown,
                completed=undone if done.undoing else done.place,
                total=len(done.written) if done.undoing else len(done.tasks),
            )
            if done.state not in ("unfinished", "undoing"):
                return done
