"""Simulate active learning with known labels: how many labels does each query strategy save?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ml_backend.cli.common import new_app, tell_errors
from ml_backend.errors import ConfigurationError
from ml_backend.simulation.design import MEASURES
from ml_backend.simulation.presets import PRESETS

PresetName = StrEnum("PresetName", {name: name for name in PRESETS})  # type: ignore[misc]
Measure = StrEnum("Measure", {name: name for name in MEASURES if name not in ("nll", "ece")})  # type: ignore[misc]

app = new_app()

PathArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE_OR_FOLDER]", help="Labelled CSV, JSON, JSONL, image folder or idx.")
]
PresetOption = Annotated[PresetName | None, typer.Option(help="A documented simulation instead of your own data.")]
DataOption = Annotated[
    Path | None, typer.Option(help="Folder of a preset's data. [default: ACTIVE_LEARNING_TEST_DATA, else data]")
]
StrategyOption = Annotated[
    list[str] | None, typer.Option("--strategy", "-s", help="A strategy, or a mixture; may be repeated. [default: all]")
]
SeedsOption = Annotated[int, typer.Option(min=1, help="Runs of each strategy: seeds 0, 1, ...")]
InitialOption = Annotated[int | None, typer.Option(min=1, help="First labels.")]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Labels between two trainings.")]
BudgetOption = Annotated[int | None, typer.Option(min=1, help="Labels at which a run ends.")]
HeldOutOption = Annotated[int | None, typer.Option(min=1, help="Items to judge with. [default: a fifth]")]
EvaluationOption = Annotated[
    int,
    typer.Option(min=0, help="Further items that stand in for evaluation tasks, for choosing and calibrating models."),
]
SamplesOption = Annotated[int, typer.Option(min=2, help="Dropout passes of the strategies that need them.")]
ColdOption = Annotated[
    bool | None,
    typer.Option(
        "--cold/--warm",
        help="Whether the first labels, too, are chosen by the strategy, or drawn at random. [default: the preset's, "
        "else warm]",
    ),
]
LearnFromPoolOption = Annotated[
    bool, typer.Option("--pool/--labels-only", help="Whether models learn from unlabelled items too.")
]
ControlShareOption = Annotated[
    float,
    typer.Option(min=0, max=0.5, help="Share of each batch that is drawn at random, like the loop's control tasks."),
]
InstantOption = Annotated[
    bool, typer.Option("--instant", help="Each answer changes what comes next in its batch, as in the loop.")
]
CandidatesOption = Annotated[
    int,
    typer.Option(
        "--candidates",
        min=0,
        help="Items that are compared at a time, found as in a round over a pool outside Label Studio; 0: all.",
    ),
]
HyperparameterOption = Annotated[
    list[str] | None, typer.Option("--set", help="A hyperparameter of the model, such as steps=200.")
]
MeasureOption = Annotated[Measure | None, typer.Option(help="What the curves show.")]
TargetOption = Annotated[
    list[float] | None, typer.Option("--target", help="Value of the measure to reach; may be repeated.")
]
LabelColumnOption = Annotated[str, typer.Option(help="Column or key of the label.")]
TextColumnOption = Annotated[str | None, typer.Option(help="Column or key of the text. [default: found by name]")]
ImagesOption = Annotated[bool, typer.Option("--images", help="A table's column holds images, not texts.")]
ImageModelOption = Annotated[
    str, typer.Option(help="Model for your own images, such as photos or mnist_cnn. [default: by what they look like]")
]
TextModelOption = Annotated[str, typer.Option(help="Model for texts, such as sentences or headlines.")]
EmbeddingOption = Annotated[
    str, typer.Option(help="Encoder of what is learnt from unlabelled items. [default: the project's default]")
]
JobsOption = Annotated[int | None, typer.Option(min=1, help="Runs at a time. [default: one per core]")]
OutOption = Annotated[Path, typer.Option(help="Folder of the results.")]
ReportOnlyOption = Annotated[
    bool, typer.Option("--report-only", help="Run nothing: only make tables and plots of the results so far.")
]
LabelStudioOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="URL of a Label Studio to run it in, with a program in place of annotators; a new project for each run.",
    ),
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
    cold: ColdOption = None,
    learn_from_pool: LearnFromPoolOption = True,
    control_share: ControlShareOption = 0.0,
    instant: InstantOption = False,
    candidates: CandidatesOption = 0,
    hyperparameter: HyperparameterOption = None,
    measure: MeasureOption = None,
    target: TargetOption = None,
    label_column: LabelColumnOption = "label",
    text_column: TextColumnOption = None,
    images: ImagesOption = False,
    image_model: ImageModelOption = "auto",
    text_model: TextModelOption = "auto",
    embedding: EmbeddingOption = "auto",
    jobs: JobsOption = None,
    out: OutOption = Path("simulations"),
    report_only: ReportOnlyOption = False,
    label_studio: LabelStudioOption = None,
) -> None:
    """Run the loop with known labels in place of people, and say how many labels each strategy saves.

    If it is stopped, the same command goes on where it ended. Each simulation writes rounds.csv, summary.csv and
    learning_curves.png and .html to a folder of its own below --out.
    """
    from ml_backend.cli.simulation_runs import Wanted, run_all, sources_of
    from ml_backend.simulation.data import Source, data_folder

    _check(path, preset, instant=instant, label_studio=label_studio, candidates=candidates)
    wanted = Wanted(strategy or _all_strategies(), range(seeds), jobs, out, report_only, label_studio, measure, target)
    columns = (label_column, text_column, images)
    own = Source("own", path or data or data_folder(), *columns, image_model=image_model, text_model=text_model)
    sizes = {"initial": initial, "batch": batch, "budget": budget, "held_out": held_out, "cold": cold}
    changes: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    changes |= {"samples": samples, "control_share": control_share, "learn_from_pool": learn_from_pool}
    changes |= {"instant": instant, "evaluation": evaluation, "embedding": embedding, "candidates": candidates}
    for entry, source in sources_of(own, preset):
        run_all(entry, source, changes, hyperparameter or (), wanted)


def _all_strategies() -> list[str]:
    """Those that go by what is simulated: nobody else's predictions are."""
    from ml_backend.strategies.registry import STRATEGIES

    return [name for name, one in STRATEGIES.usable().items() if "doubts" not in one.needs]


def _check(path: Path | None, preset: str | None, *, instant: bool, label_studio: str | None, candidates: int) -> None:
    if (path is None) == (preset is None):
        raise ConfigurationError("Name either a labelled file or folder, or a --preset")
    if instant and label_studio:
        raise ConfigurationError("--instant is simulated without Label Studio: leave out one of the two")
    if candidates and label_studio:
        raise ConfigurationError("--candidates is simulated without Label Studio: leave out one of the two")
