"""A round by another model's predictions in a real Label Studio: seconds, each beside its limit, and errors found."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from bench import options
from bench.detections import CONFIG, simulated
from bench.start import start_studio
from bench.timing import load, timed
from ml_backend.cli.common import console, messages, new_app, tell_errors
from ml_backend.importing.new_tasks import send
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.rounds.from_settings import workspace
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import run_round

SECONDS: Final = 15.0
"""That reading the predictions of 10,000 tasks and publishing the next order may take."""
TIMES: Final = 3.0
"""How many times the errors of as many random tasks the first ones hold at least."""
READ_AND_PUBLISHED: Final = ("predictions", "rank", "import", "switch", "tidy")
"""The round's steps that this is about; ``read`` copies the tasks, as every first round does."""
AT_ONCE: Final = 2_000
"""Predictions imported together."""

app = new_app()


@app.command()
@tell_errors
def main(
    data: Annotated[Path | None, options.MADE_UP] = None,
    tasks: Annotated[int, typer.Option(min=400, help="Tasks with a prediction.")] = 10_000,
    queue: Annotated[int, typer.Option(min=1, help="Tasks in the queue.")] = 200,
) -> None:
    """Start a Label Studio, import tasks and a detector's boxes whose errors are known, and time two rounds."""
    del data
    with tempfile.TemporaryDirectory() as folder, ExitStack() as children:
        client, settings = start_studio(
            children, Path(folder), strategy="predictions", queue_size=queue, keep_queues_seconds=0
        )
        project = client.create_project("boxes", CONFIG).id
        messages.print(f"{tasks:,} tasks and their predictions ...")
        sent = send(client, project, [{"data": {"image": f"https://example.org/{n}.png"}} for n in range(tasks)])
        ids = [task for task in sent if task is not None]
        results, errors = simulated(tasks)
        _predict(client, project, ids, results)
        rounds = replace(workspace(settings, client), media_seconds=0)  # nobody has these pictures
        passed = [_passed(lambda: run_round(rounds, RoundRequest(project))) for _ in range(2)]
    title = f"{tasks:,} tasks, queue of {queue:,} {load()}"
    table = Table("what", "seconds", "of CPU", "limit", "found / limit", title=title)
    for name, (report, seconds, cpu) in zip(("first round", "the next"), passed, strict=True):
        found = sum(step.seconds for step in report.steps if step.name in READ_AND_PUBLISHED)
        steps = ", ".join(f"{step.name} {step.seconds:.1f}" for step in report.steps)
        told = f"{name}: predictions read, order published"
        table.add_row(told, f"{found:.1f}", "", f"{SECONDS:g}", f"{found / SECONDS:.2f}")
        table.add_row(f"  all of it: {steps}", f"{seconds:.1f}", f"{cpu:.1f}", "", "")
    held = _errors(passed[0][0], ids, errors)
    told = f"errors in the first {queue:,} / in as many random ones"
    table.add_row(told, f"{held:.1f}", "", f"at least {TIMES:g}", f"{held / TIMES:.2f}")
    console.print(table)


def _passed(run: Callable[[], Report]) -> tuple[Report, float, float]:
    """A round, its seconds, and those of CPU that it and Label Studio took, which a busy machine changes least."""
    before = _cpu()
    report, seconds = timed(run)
    return report, seconds, _cpu() - before


def _cpu() -> float:
    """Seconds of CPU of this process and of those that it started."""
    ticks = os.sysconf("SC_CLK_TCK")
    started = [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in started]
    return time.process_time() + sum(int(row[11]) + int(row[12]) for row in fields) / ticks


def _predict(client: LabelStudioClient, project: int, ids: Sequence[int], results: Sequence[Any]) -> None:
    rows = [
        {"task": task, "result": result, "model_version": "detector-1"}
        for task, result in zip(ids, results, strict=True)
    ]
    for start in range(0, len(rows), AT_ONCE):
        client.import_predictions(project, rows[start : start + AT_ONCE])


def _errors(report: Report, ids: Sequence[int], errors: NDArray[np.int64]) -> float:
    """Errors among the tasks that the strategy picked, as a multiple of those in as many random ones."""
    wrong = dict(zip(ids, errors.tolist(), strict=True))
    items = report.queue.predictions if report.queue else ()
    picked = [wrong[item.task_id] for item in items if item.picked_by == "predictions"]
    return float(np.mean(picked) / errors.mean())


if __name__ == "__main__":
    app()
