"""Reorder a project: score its open tasks with the current model and put the most informative ones first."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, messages, new_app, tell_errors
from ml_backend.cli.joining import NowOption, joined_round
from ml_backend.errors import AcquisitionError
from ml_backend.strategies.mixture import parse_strategy
from ml_backend.strategies.registry import STRATEGIES

if TYPE_CHECKING:
    from ml_backend.rounds.report import Report

LISTED = "\n\n".join(f"- `{name}`: {entry.when}" for name, entry in STRATEGIES.usable().items())

app = new_app()


def known(strategy: str | None) -> str | None:
    """Refuse an unknown strategy or a malformed mixture before anything is asked of Label Studio."""
    try:
        if strategy is not None:
            parse_strategy(strategy)
    except AcquisitionError as exc:
        raise typer.BadParameter(str(exc)) from None
    return strategy


@app.command(help=f"{__doc__}\n\nStrategies:\n\n{LISTED}")
@tell_errors
def main(
    project: ProjectOption,
    strategy: Annotated[
        str | None, typer.Option(callback=known, help="Or a mixture, entropy:0.8,random:0.2. [default: the project's]")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Dropout passes. [default: 20]", min=2)] = None,
    queue: Annotated[int | None, typer.Option(help="How many tasks to queue. [default: 200]", min=1)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Queue every open task: slow in a large project.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Train on the labels first, if there are new ones.")] = False,
    seed: Annotated[int | None, typer.Option(help="Fixes random order, ties and dropout. [default: 0]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the order; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    model_dir: Annotated[Path | None, typer.Option(help="Folder of model versions. [default: MODEL_DIR]")] = None,
    now: NowOption = False,
    url: UrlOption = None,
) -> None:
    """Reorder a project."""
    from ml_backend.cli.observer import show_report
    from ml_backend.rounds.request import RoundRequest, RunOptions

    settings, client = connect(url)
    if model_dir:
        settings = settings.model_copy(update={"model_dir": model_dir})
    given = {"strategy": strategy, "samples": samples, "queue_size": queue, "seed": seed}
    options = RunOptions(
        overrides={name: value for name, value in given.items() if value is not None},
        whole_pool=everything,
        dry_run=dry_run,
        draw_map=train,
    )
    report = joined_round(settings, client, RoundRequest(project, "sync", train=train), options, now=now)
    if as_json:
        console.print_json(json.dumps(as_dict(report)))
        return
    show_report(messages, report)
    console.print(summary(report, dry_run=dry_run), highlight=False, soft_wrap=True)


def summary(report: Report, *, dry_run: bool) -> str:
    """What changed, in one or two lines."""
    if report.queue is None:
        return f"Project {report.project}: nothing to queue; the order is unchanged."
    size = len(report.queue.predictions)
    if dry_run:
        order = " ".join(str(item.task_id) for item in report.queue.predictions)
        return f"Dry run, nothing written. Order of {size:,} tasks by {report.queue.strategy}:\n{order}"
    deleted = f"; deleted: {', '.join(report.replaced)}" if report.replaced else ""
    return (
        f"Project {report.project} now serves {report.queue.name}: {size:,} of {report.open_tasks:,} open tasks"
        f"{deleted}; {report.seconds:.1f} s."
    )


def as_dict(report: Report) -> dict[str, Any]:
    """The report as JSON-able data."""
    return asdict(report) | {"seconds": report.seconds}
