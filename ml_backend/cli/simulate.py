"""Simulate active learning with known labels: how many labels does each query strategy save?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ml_backend.cli.common import connect, console, messages, new_app, progress_bar, tell_errors, warn
from ml_backend.errors import ConfigurationError, DataError
from ml_backend.simulation.data import Source, data_folder
from ml_backend.simulation.design import MEASURES, Design, LabelledData, Round
from ml_backend.simulation.files import ResultFolder, curves, is_finished, write_rounds
from ml_backend.simulation.live import simulate_live
from ml_backend.simulation.plots import write_plots
from ml_backend.simulation.presets import PRESETS, Preset
from ml_backend.simulation.report import lines_of, tables_of, write_summary
from ml_backend.simulation.simulate import simulate
from ml_backend.simulation.workers import Errors, Run, run_here, run_parallel
from ml_backend.strategies.mixture import parse_strategy
from ml_backend.strategies.registry import STRATEGIES

PresetName = StrEnum("PresetName", {name: name for name in PRESETS})  # type: ignore[misc]
Measure = StrEnum("Measure", {name: name for name in MEASURES if name not in ("nll", "ece")})  # type: ignore[misc]
OWN: Final = Preset("own", Design(0, 20, 10, 200), "accuracy", (0.8, 0.9, 0.95))
HELD_OUT_SHARE: Final = 0.2

app = new_app()
Doing = Callable[[Sequence[Run], Callable[[Round], None]], Errors]
"""Does the runs, telling each round."""


@app.command()
@tell_errors
def main(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE_OR_FOLDER]", help="Labelled CSV, JSON, JSONL, image folder or idx.")
    ] = None,
    preset: Annotated[PresetName | None, typer.Option(help="A documented simulation instead of own data.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a preset's data. [default: ACTIVE_LEARNING_TEST_DATA, else data]")
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option("--strategy", "-s", help="Or a mixture; several times. [default: all]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each strategy: seeds 0, 1, ...")] = 5,
    initial: Annotated[int | None, typer.Option(min=1, help="First labels.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Labels between two trainings.")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Labels at which a run ends.")] = None,
    held_out: Annotated[int | None, typer.Option(min=1, help="Items to judge with. [default: a fifth]")] = None,
    evaluation: Annotated[
        int, typer.Option(min=0, help="Items beside them that stand for evaluation tasks: they choose and calibrate.")
    ] = 0,
    samples: Annotated[int, typer.Option(min=2, help="Dropout passes of the strategies that need them.")] = 20,
    cold: Annotated[
        bool, typer.Option("--cold/--warm", help="Whether the strategy chooses the first labels too, or chance does.")
    ] = False,
    learn_from_pool: Annotated[
        bool, typer.Option("--pool/--labels-only", help="Whether models learn from unlabelled items too.")
    ] = True,
    control_share: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of each batch drawn at random, as the loop's control tasks are."),
    ] = 0.0,
    instant: Annotated[
        bool, typer.Option("--instant", help="Each answer changes what comes next in its batch, as in the loop.")
    ] = False,
    hyperparameter: Annotated[
        list[str] | None, typer.Option("--set", help="A hyperparameter of the model, such as steps=200.")
    ] = None,
    measure: Annotated[Measure | None, typer.Option(help="What the curves show.")] = None,
    target: Annotated[
        list[float] | None, typer.Option("--target", help="Value of the measure to reach; several times.")
    ] = None,
    label_column: Annotated[str, typer.Option(help="Column or key of the label.")] = "label",
    text_column: Annotated[str | None, typer.Option(help="Column or key of the text. [default: found by name]")] = None,
    images: Annotated[bool, typer.Option("--images", help="A table's column holds images, not texts.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. [default: one a core]")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("simulations"),
    report_only: Annotated[bool, typer.Option("--report-only", help="Only tables and plots of what is there.")] = False,
    label_studio: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Through this Label Studio, the oracle annotating; a new project a run."),
    ] = None,
) -> None:
    """Run the loop with known labels in place of people, and tell how many labels each strategy saves.

    Whatever stops it, the same command goes on where it ended. Each simulation writes rounds.csv, summary.csv and
    learning_curves.png and .html to a folder of its own below --out.
    """
    if (path is None) == (preset is None):
        raise ConfigurationError("Name either a labelled file or folder, or a --preset")
    if instant and label_studio:
        raise ConfigurationError("--instant is simulated without Label Studio: leave out one of the two")
    names = strategy or list(STRATEGIES)
    for name in names:
        parse_strategy(name)
    sources = [(OWN, Source("own", path, label_column, text_column, images))] if path else []
    if preset:
        folder = data or data_folder()
        sources = [(entry, Source(entry.kind, folder)) for entry in PRESETS[preset]]
    sizes = {"initial": initial, "batch": batch, "budget": budget, "held_out": held_out}
    given: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    given |= {"samples": samples, "cold": cold, "control_share": control_share, "learn_from_pool": learn_from_pool}
    given |= {"instant": instant, "evaluation": evaluation}
    for entry, source in sources:
        loaded = source.load()
        design = replace(entry.design, **given, hyperparameters=_hyperparameters(hyperparameter or (), loaded))
        if not design.held_out:
            design = replace(design, held_out=max(1, round(HELD_OUT_SHARE * len(loaded.items))))
        design.check(len(loaded.items))
        doing = (
            _live(label_studio, loaded, design)
            if label_studio
            else _offline(loaded, source, design, jobs, out / loaded.name)
        )
        folder = out / (f"{loaded.name}-label-studio" if label_studio else loaded.name)
        with ResultFolder(folder, _settings(loaded, design)) as results:
            errors = {} if report_only else _run(doing, loaded, design, names, range(seeds), results)
            _report(results, loaded, measure or entry.measure, target or entry.targets)
        for (name, seed), error in errors.items():
            warn(f"{name}, seed {seed}: {error}")
        if errors:
            raise DataError(f"{len(errors)} runs of {loaded.name} failed; their finished rounds are kept")


def _settings(data: LabelledData, design: Design) -> dict[str, Any]:
    """What the rounds of one folder have in common."""
    about = {"data": data.name, "source": data.source, "items": len(data.items), "model": data.model.name}
    settings = about | asdict(design)
    if not design.instant:  # a folder from before there was such a thing can be gone on with
        del settings["instant"]
    return settings


def _hyperparameters(given: Sequence[str], data: LabelledData) -> dict[str, float | str]:
    values: dict[str, float | str] = {}
    defaults = data.model.hyperparameters()
    for pair in given:
        name, _, value = pair.partition("=")
        try:
            values[name] = value if isinstance(defaults.get(name), str) else float(value)
        except ValueError:
            name = ""
        if name not in defaults or not value:
            raise ConfigurationError(f"--set {pair}: give name=value with one of: {', '.join(defaults)}")
    return values


def _offline(data: LabelledData, source: Source, design: Design, jobs: int | None, folder: Path) -> Doing:
    jobs = jobs or len(os.sched_getaffinity(0))

    def do(runs: Sequence[Run], on_round: Callable[[Round], None]) -> Errors:
        if jobs == 1 or len(runs) < 2:
            return run_here(
                lambda run: simulate(data, design, run.strategy, run.seed, done=run.done, embeddings=folder),
                runs,
                on_round,
            )
        return run_parallel(source, design, runs, on_round, jobs=jobs, embeddings=folder)

    return do


def _live(url: str, data: LabelledData, design: Design) -> Doing:
    _, client = connect(url)

    def do(runs: Sequence[Run], on_round: Callable[[Round], None]) -> Errors:
        with tempfile.TemporaryDirectory() as root:
            return run_here(
                lambda run: simulate_live(client, Path(root), data, design, run.strategy, run.seed), runs, on_round
            )

    return do


def _run(
    doing: Doing,
    data: LabelledData,
    design: Design,
    strategies: Sequence[str],
    seeds: Sequence[int],
    results: ResultFolder,
) -> Errors:
    """Do what is not done yet. Seed by seed, so that an early end leaves all strategies with the same seeds."""
    wanted = {(strategy, seed): results.runs.get((strategy, seed), []) for seed in seeds for strategy in strategies}
    todo = [Run(*key, tuple(rounds)) for key, rounds in wanted.items() if not is_finished(rounds, design.budget)]
    if len(todo) < len(wanted):
        messages.print(f"{data.name}: {len(wanted) - len(todo)} of {len(wanted)} runs are done already.")
    rounds = 1 + -(-(design.budget - design.initial) // design.batch)
    with progress_bar() as progress:
        bar = progress.add_task(data.name, total=rounds * len(todo), completed=sum(len(run.done) for run in todo))

        def on_round(entry: Round) -> None:
            results.add(entry)
            where = f"{data.name}: {entry.strategy} {entry.seed}, {entry.labels} labels"
            done = sum(len(results.runs.get((run.strategy, run.seed), ())) for run in todo)
            progress.update(bar, completed=done, description=f"{where}, accuracy {entry.measures['accuracy']:.3f}")

        return doing(todo, on_round)


def _report(results: ResultFolder, data: LabelledData, measure: str, targets: Sequence[float]) -> None:
    if not results.runs:
        raise DataError(f"{results.folder} holds no rounds yet; run without --report-only")
    lines = lines_of(results.runs, measure, targets)
    found: Mapping[str, Any] = curves(results.runs, measure)
    title = f"{data.name}: {data.source}"
    files = [write_rounds(results.folder, results.runs), write_summary(results.folder, lines, measure, targets)]
    files += write_plots(results.folder, found, title=title, measure=measure, targets=targets)
    for table in tables_of(title, lines, measure, targets):
        console.print(table)
    console.print(f"Written: {', '.join(str(file) for file in files)}", highlight=False, soft_wrap=True)
