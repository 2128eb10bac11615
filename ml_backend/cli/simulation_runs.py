"""The runs of ``lsal simulate`` on one data set, and their report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ml_backend import hardware
from ml_backend.cli.common import connect, console, messages, progress_bar, warn
from ml_backend.config import load_settings
from ml_backend.encoders.folders import parse_folders
from ml_backend.encoders.registry import choose_encoder
from ml_backend.errors import ConfigurationError, DataError
from ml_backend.models.registry import AUTO
from ml_backend.pool.encoders import encoder_for
from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design, LabelledData, Round
from ml_backend.simulation.files import ResultFolder, curves, is_finished, write_rounds
from ml_backend.simulation.live import simulate_live
from ml_backend.simulation.plots import write_plots
from ml_backend.simulation.presets import PRESETS, Preset
from ml_backend.simulation.report import lines_of, tables_of, write_summary
from ml_backend.simulation.simulate import simulate
from ml_backend.simulation.workers import Errors, Run, run_here, run_parallel
from ml_backend.strategies.mixture import parse_strategy

OWN: Final = Preset("own", Design(0, 20, 10, 200), "accuracy", (0.8, 0.9, 0.95))
HELD_OUT_SHARE: Final = 0.2
Doing = Callable[[Sequence[Run], Callable[[Round], None]], Errors]
"""Does the runs, telling each round."""


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

    def __post_init__(self) -> None:
        """Refuse an unknown strategy before anything is read.

        Raises:
            AcquisitionError: a name is unknown, or a mixture malformed.
        """
        for name in self.strategies:
            parse_strategy(name)


def sources_of(own: Source, preset: str | None) -> list[tuple[Preset, Source]]:
    """The data sets of a command, each with its usual sizes: one's own, or those of a preset in the same folder."""
    return [(entry, replace(own, kind=entry.kind)) for entry in PRESETS[preset]] if preset else [(OWN, own)]


def run_all(
    entry: Preset, source: Source, changes: Mapping[str, Any], hyperparameters: Sequence[str], wanted: Wanted
) -> None:
    """All runs on one data set, and their report.

    Raises:
        ConfigurationError: a hyperparameter that the model does not have. DataError: a run failed.
    """
    encoder = next((pair.partition("=")[2] for pair in hyperparameters if pair.startswith("encoder=")), AUTO)
    source = replace(
        source,
        features=wanted.out,
        encoder_folders=parse_folders(load_settings().encoder_folders),
        encoder=encoder or AUTO,
        keep_values=wanted.label_studio is not None,
    )
    loaded = source.load()
    messages.print(f"{loaded.name}: {loaded.source}, model {loaded.model.name}", highlight=False, soft_wrap=True)
    design = replace(entry.design, **changes, hyperparameters=_hyperparameters(hyperparameters, loaded))
    check_choices(source, loaded, design)
    if not design.held_out:
        design = replace(design, held_out=max(1, round(HELD_OUT_SHARE * len(loaded.items))))
    design.check(len(loaded.items))
    if wanted.label_studio:
        doing, folder = _live(wanted.label_studio, loaded, design), wanted.out / f"{loaded.name}-label-studio"
    else:
        folder = wanted.out / loaded.name
        doing = _offline(loaded, source, design, wanted.jobs, folder)
    with ResultFolder(folder, settings_of(loaded, design)) as results:
        errors = {} if wanted.report_only else _run(doing, loaded, design, wanted.strategies, wanted.seeds, results)
        usual = "f_macro" if loaded.multiple else entry.measure
        _report(results, loaded, wanted.measure or usual, wanted.targets or entry.targets)
    for (name, seed), error in errors.items():
        warn(f"{name}, seed {seed}: {error}")
    if errors:
        raise DataError(f"{len(errors)} runs of {loaded.name} failed; their finished rounds are kept")


def check_choices(source: Source, data: LabelledData, design: Design) -> None:
    """Refuse a model or an encoder that was asked for and would not be used.

    Raises:
        ConfigurationError: it reads other data, is unknown, or the design has no use for it.
    """
    for option, name in (("--image-model", source.image_model), ("--text-model", source.text_model)):
        if name not in (AUTO, data.model.name):
            raise ConfigurationError(f"{option} {name}: {data.name} is read by {data.model.name}; leave {option} out")
    if design.candidates:
        encoder_for(data.model, data.encoder)  # refuses models that read each item themselves
    if design.embedding != AUTO:
        if not design.learn_from_pool:
            raise ConfigurationError("--embedding has no use with --labels-only: leave out one of the two")
        choose_encoder(design.embedding, data.model.object_tag)


def settings_of(data: LabelledData, design: Design) -> dict[str, Any]:
    """What the rounds of one folder have in common."""
    about = {"data": data.name, "source": data.source, "items": len(data.items), "model": data.model.name}
    settings = about | asdict(design)
    # A folder from before there was such a thing can be gone on with.
    usual = {"instant": False, "embedding": AUTO, "candidates": 0}
    return {name: value for name, value in settings.items() if name not in usual or value != usual[name]}


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
    jobs = jobs or hardware.cores()

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
    total = len(todo) * (1 + -(-(design.budget - design.initial) // design.batch))
    with progress_bar() as progress:
        bar = progress.add_task(data.name, total=total, completed=sum(len(run.done) for run in todo))

        def on_round(entry: Round) -> None:
            results.add(entry)
            done = sum(len(results.runs.get((run.strategy, run.seed), ())) for run in todo)
            where = f"{data.name}: {entry.strategy} {entry.seed}, {entry.labels} labels"
            told = f"{where}, accuracy {entry.measures['accuracy']:.3f}"
            progress.update(bar, completed=done, description=told)
            if not messages.is_terminal:  # no bar is drawn there: a log gets a line a round
                messages.print(f"{told} (round {done:,} of {total:,})", highlight=False, soft_wrap=True, markup=False)

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
