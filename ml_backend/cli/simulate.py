"""Simulate active learning with known labels: how many labels does each query strategy save?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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


PathArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE_OR_FOLDER]", help="Labelled CSV, JSON, JSONL, image folder or idx.")
]
PresetOption = Annotated[PresetName | None, typer.Option(help="A documented simulation instead of own data.")]
DataOption = Annotated[
    Path | None, typer.Option(help="Folder of a preset's data. [default: ACTIVE_LEARNING_TEST_DATA, else data]")
]
StrategyOption = Annotated[
    list[str] | None, typer.Option("--strategy", "-s", help="Or a mixture; several times. [default: all]")
]
SeedsOption = Annotated[int, typer.Option(min=1, help="Runs of each strategy: seeds 0, 1, ...")]
InitialOption = Annotated[int | None, typer.Option(min=1, help="First labels.")]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Labels between two trainings.")]
BudgetOption = Annotated[int | None, typer.Option(min=1, help="Labels at which a run ends.")]
HeldOutOption = Annotated[int | None, typer.Option(min=1, help="Items to judge with. [default: a fifth]")]
EvaluationOption = Annotated[
    int, typer.Option(min=0, help="Items beside them that stand for evaluation tasks: they choose and calibrate.")
]
SamplesOption = Annotated[int, typer.Option(min=2, help="Dropout passes of the strategies that need them.")]
ColdOption = Annotated[
    bool, typer.Option("--cold/--warm", help="Whether the strategy chooses the first labels too, or chance does.")
]
LearnFromPoolOption = Annotated[
    bool, typer.Option("--pool/--labels-only", help="Whether models learn from unlabelled items too.")
]
ControlShareOption = Annotated[
    float,
    typer.Option(min=0, max=0.5, help="Share of each batch drawn at random, as the loop's control tasks are."),
]
InstantOption = Annotated[
    bool, typer.Option("--instant", help="Each answer changes what comes next in its batch, as in the loop.")
]
HyperparameterOption = Annotated[
    list[str] | None, typer.Option("--set", help="A hyperparameter of the model, such as steps=200.")
]
MeasureOption = Annotated[Measure | None, typer.Option(help="What the curves show.")]
TargetOption = Annotated[
    list[float] | None, typer.Option("--target", help="Value of the measure to reach; several times.")
]
LabelColumnOption = Annotated[str, typer.Option(help="Column or key of the label.")]
TextColumnOption = Annotated[str | None, typer.Option(help="Column or key of the text. [default: found by name]")]
ImagesOption = Annotated[bool, typer.Option("--images", help="A table's column holds images, not texts.")]
JobsOption = Annotated[int | None, typer.Option(min=1, help="Runs at a time. [default: one a core]")]
OutOption = Annotated[Path, typer.Option(help="Folder of the results.")]
ReportOnlyOption = Annotated[bool, typer.Option("--report-only", help="Only tables and plots of what is there.")]
LabelStudioOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Through this Label Studio, the oracle annotating; a new project a run."),
]


@app.command()
@tell_errors
def main(
    path: PathArgument = None,
    preset: PresetOption = None,
    data: DataOption = None,
    strategy: StrategyOption = None,
    seeds: SeedsOption = 5,
    initial: InitialOption = None,
    batch: BatchOption = None,
    budget: BudgetOption = None,
    held_out: HeldOutOption = None,
    evaluation: EvaluationOption = 0,
    samples: SamplesOption = 20,
    cold: ColdOption = False,
    learn_from_pool: LearnFromPoolOption = True,
    control_share: ControlShareOption = 0.0,
    instant: InstantOption = False,
    hyperparameter: HyperparameterOption = None,
    measure: MeasureOption = None,
    target: TargetOption = None,
    label_column: LabelColumnOption = "label",
    text_column: TextColumnOption = None,
    images: ImagesOption = False,
    jobs: JobsOption = None,
    out: OutOption = Path("simulations"),
    report_only: ReportOnlyOption = False,
    label_studio: LabelStudioOption = None,
) -> None:
    """Run the loop with known labels in place of people, and tell how many labels each strategy saves.

    Whatever stops it, the same command goes on where it ended. Each simulation writes rounds.csv, summary.csv and
    learning_curves.png and .html to a folder of its own below --out.
    """
    if (path is None) == (preset is None):
        raise ConfigurationError("Name either a labelled file or folder, or a --preset")
    if instant and label_studio:
        raise ConfigurationError("--instant is simulated without Label Studio: leave out one of the two")
    wanted = Wanted(
        strategy or list(STRATEGIES.usable()), range(seeds), jobs, out, report_only, label_studio, measure, target
    )
    for name in wanted.strategies:
        parse_strategy(name)
    sources = [(OWN, Source("own", path, label_column, text_column, images))] if path else []
    if preset:
        sources = [(entry, Source(entry.kind, data or data_folder())) for entry in PRESETS[preset]]
    sizes = {"initial": initial, "batch": batch, "budget": budget, "held_out": held_out}
    changes: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    changes |= {"samples": samples, "cold": cold, "control_share": control_share, "learn_from_pool": learn_from_pool}
    changes |= {"instant": instant, "evaluation": evaluation}
    for entry, source in sources:
        _simulate(entry, source, changes, hyperparameter or (), wanted)


@dataclass(frozen=True)
class Wanted:
    """What is the same for all data sets of a command."""

    strategies: Sequence[str]
    seeds: Sequence[int]
    jobs: int | None
    out: Path
    report_only: bool
    label_studio: str | None
    measure: str | None
    targets: Sequence[float] | None


def _simulate(
    entry: Preset, source: Source, changes: Mapping[str, Any], hyperparameters: Sequence[str], wanted: Wanted
) -> None:
    """All runs on one data set, and their report."""
    loaded = source.load()
    design = replace(entry.design, **changes, hyperparameters=_hyperparameters(hyperparameters, loaded))
    if not design.held_out:
        design = replace(design, held_out=max(1, round(HELD_OUT_SHARE * len(loaded.items))))
    design.check(len(loaded.items))
    if wanted.label_studio:
        doing, folder = _live(wanted.label_studio, loaded, design), wanted.out / f"{loaded.name}-label-studio"
    else:
        folder = wanted.out / loaded.name
        doing = _offline(loaded, source, design, wanted.jobs, folder)
    with ResultFolder(folder, _settings(loaded, design)) as results:
        errors = {} if wanted.report_only else _run(doing, loaded, design, wanted.strategies, wanted.seeds, results)
        _report(results, loaded, wanted.measure or entry.measure, wanted.targets or entry.targets)
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
