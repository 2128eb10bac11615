"""Time a sync against Label Studio's own "Retrieve predictions" on the same project, tasks and model, in one run."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from demo import start_backend
from demo_data import mnist_project
from processes import LOCALHOST
from rich.table import Table

from bench import options
from bench.start import start_studio
from bench.timing import timed
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.setup import connect_backend, make_project
from ml_backend.rounds.from_settings import workspace
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.simulation.data import data_folder

RETRIEVE_TIMEOUT = 3600.0
"""Label Studio answers only when all predictions are written."""

ROUND_LIMIT = 15.0
"""Seconds that a round may take whose version goes on from the one before."""
FURTHER = 10
"""Labels between the two."""

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.data("mnist/")] = None,
    tasks: Annotated[int, typer.Option(help="Tasks in the project.", min=200)] = 10_000,
    queue: Annotated[int, typer.Option(help="Tasks in the queue.", min=1)] = 200,
    everything: Annotated[bool, typer.Option("--all", help="Also time a sync that queues every open task.")] = False,
    retrieve: Annotated[bool, typer.Option(help='Also time "Retrieve predictions" of all tasks.')] = True,
) -> None:
    """Start a Label Studio and the backend, import digits, train once, and time syncs and "Retrieve predictions"."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:  # servers end first
        root = Path(folder)
        # Kept for no time, so that deleting the replaced order is a part of each sync.
        client, settings = start_studio(
            children, root, timeout=RETRIEVE_TIMEOUT, queue_size=queue, keep_queues_seconds=0
        )
        demo = mnist_project(data or data_folder(), initial=100)
        project = make_project(client, demo.title, demo.config, demo.question).id
        send(client, project, demo.rows[:tasks])
        messages.print("First round (reads everything, trains on 100 labels) ...")
        rounds = workspace(settings, client)
        first = run_round(rounds, RoundRequest(project))
        rows = [("first round: full read, fit, judge, publish", first.seconds, steps_of(first))]
        # What changed seconds ago is read once more (a slow transaction may still add to it): here, the whole import.
        soon, seconds = timed(lambda: run_round(rounds, RoundRequest(project, train=False)))
        rows.append(("sync seconds after an import of everything", seconds, steps_of(soon)))
        again, seconds = timed(lambda: run_round(rounds, RoundRequest(project, train=False)))
        rows.append((f"sync, queue of {queue:,}", seconds, steps_of(again)))
        reference = seconds
        rows.append(_later(rounds, client, project))
        if everything:
            whole, seconds = timed(
                lambda: run_round(rounds, RoundRequest(project, train=False), RunOptions(whole_pool=True))
            )
            rows.append((f"sync --all, {whole.open_tasks:,} tasks", seconds, steps_of(whole)))
            run_round(
                rounds, RoundRequest(project, train=False)
            )  # back to a short queue: the retrieval starts from the same state
        if retrieve:
            # Connected only now: its own first round must not meet those that are timed.
            children.callback(start_backend(settings, root / "backend.log").stop)
            connect_backend(client, project, f"http://{LOCALHOST}:{settings.port}", settings)
            messages.print('"Retrieve predictions" of all tasks: minutes ...')
            _, seconds = timed(lambda: retrieve_predictions(client, project))
            rows.append((f"Label Studio's “Retrieve predictions”, {tasks:,} tasks", seconds, ""))
    table = Table("what", "seconds", "x sync", "steps", title=f"{tasks:,} tasks, {again.open_tasks:,} open")
    for what, seconds, steps in rows:
        table.add_row(what, f"{seconds:.1f}", f"{seconds / reference:.1f}", steps)
    console.print(table)


def _later(rounds: Workspace, client: LabelStudioClient, project: int) -> tuple[str, float, str]:
    """What a round takes some labels later, whose version goes on from the one before: its row."""
    _annotate(client, project, FURTHER)
    before = time.process_time()
    report, seconds = timed(lambda: run_round(rounds, RoundRequest(project)))
    messages.print(f"{time.process_time() - before:.1f} s of CPU for {FURTHER} labels more; {report.learnt_from}")
    what = f"a round {FURTHER} labels later, from reading to the new order (limit {ROUND_LIMIT:g} s"
    return f"{what}: {seconds / ROUND_LIMIT:.2f} of it)", seconds, steps_of(report)


def _annotate(client: LabelStudioClient, project_id: int, count: int) -> None:
    """Answer the next tasks as the model guesses."""
    for _ in range(count):
        task = client.next_task(project_id)
        if task is not None:
            client.annotate(task["id"], task["predictions"][0]["result"])


def retrieve_predictions(client: LabelStudioClient, project_id: int) -> None:
    """What the Data Manager's "Retrieve predictions" does with all tasks selected."""
    client.request(
        "POST",
        "api/dm/actions",
        params={"id": "retrieve_tasks_predictions", "project": project_id},
        body={"selectedItems": {"all": True, "excluded": []}},
        once=True,
        what=f"Project {project_id}",
    )


def steps_of(report: Report) -> str:
    """A round's steps in one line."""
    return ", ".join(f"{step.name} {step.seconds:.1f}" for step in report.steps)


if __name__ == "__main__":
    app()
