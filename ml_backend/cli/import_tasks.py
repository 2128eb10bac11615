"""Import tasks into a Label Studio project: tables, JSON, JSON Lines, texts, exports, folders of images, idx files.

Each task carries a key of its content in its data, so a second run imports only what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, new_app, tell_errors

app = new_app()


LabelsOption = Annotated[
    Path | None, typer.Option("--labels", help="Idx labels of idx images. [default: the file beside them]")
]
LabelColumnOption = Annotated[
    str | None, typer.Option("--label-column", help='Column or key of the label; "" for none. [default: found by name]')
]
TextColumnOption = Annotated[
    str | None, typer.Option("--text-column", help="Column or key of the text or image. [default: found by name]")
]
WithLabelsOption = Annotated[
    bool,
    typer.Option(
        "--with-labels/--hide-labels",
        help="First labels: the file's labels become annotations, from which the model learns at once. Hidden "
        "labels: only those of the evaluation tasks are imported; people are asked for the others.",
    ),
]
EvaluationOption = Annotated[
    str | None,
    typer.Option(
        "--evaluation",
        help="Evaluation labels: hold out some tasks for measuring, a fraction (0.2) or a count (200), drawn at "
        "random from the labelled ones, or from all if none is labelled; the model never learns from them.",
    ),
]


FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE_OR_FOLDER", help="CSV, TSV, JSON, JSONL, TXT, an export, a folder of images, or an idx file."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be imported, and what cannot be kept; import nothing.")
]
UnknownOption = Annotated[
    bool, typer.Option("--leave-out-unknown", help="Leave out answers of annotators without an account here.")
]


@app.command()
@tell_errors
def main(
    path: FileArgument,
    project: ProjectOption,
    labels: LabelsOption = None,
    label_column: LabelColumnOption = None,
    text_column: TextColumnOption = None,
    with_labels: WithLabelsOption = True,
    evaluation: EvaluationOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes which tasks are held out.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if any item has a problem.")] = False,
    dry_run: DryRunOption = False,
    leave_out_unknown: UnknownOption = False,
    url: UrlOption = None,
) -> None:
    """Import tasks into a project, in batches.

    From exports, Label Studio's and ours, the answers of all annotators, predictions and meta are kept. Running it
    again, after an interruption or with a longer file, imports only what is not there yet. The access token of Label
    Studio comes from LABEL_STUDIO_API_KEY.
    """
    from ml_backend.cli.import_plan import ImportOptions, import_file, tell_eyes
    from ml_backend.errors import LabelConfigError
    from ml_backend.rounds.encoder_preview import settings_of
    from ml_backend.rounds.predicted.wanted import by_predictions
    from ml_backend.store.registry import stores_of

    options = ImportOptions(
        labels, label_column, text_column, with_labels, evaluation, seed, strict, dry_run, leave_out_unknown
    )
    settings, client = connect(url)
    there = client.project(project)
    try:
        plan = import_file(path, client, there, options, stores_of(settings).open(project))
    except LabelConfigError as exc:
        if not by_predictions(settings_of(settings, client, project)):
            raise
        raise LabelConfigError(
            f"Another model's predictions order project {project}, and no question of it is learnt: import its tasks "
            "in Label Studio (the Data Manager's Import, or its API), with their predictions where you have them."
        ) from exc
    if not dry_run:
        tell_eyes(client, settings, there, plan)
