"""Import tasks into a Label Studio project: CSV, JSON, JSON Lines, a folder of images, or idx files.

Each task carries a key of its content in its data, so a second run imports only what is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, tell_errors
from ml_backend.errors import DataError

app = new_app()


LabelsOption = Annotated[
    Path | None, typer.Option("--labels", help="Idx labels of idx images. [default: the file beside them]")
]
LabelColumnOption = Annotated[
    str | None, typer.Option("--label-column", help='Column or key of the label. [default: "label" of a CSV file]')
]
TextColumnOption = Annotated[
    str | None, typer.Option("--text-column", help="Column or key of the text or image. [default: found by name]")
]
WithLabelsOption = Annotated[
    bool,
    typer.Option(
        "--with-labels/--hide-labels",
        help="Import known labels as annotations, or only those of the evaluation tasks.",
    ),
]
EvaluationOption = Annotated[
    str | None,
    typer.Option(
        "--evaluation",
        help="Hold out some tasks for measuring: a fraction (0.2) or a count (200), drawn at random from the "
        "labelled ones, or from all where none is labelled.",
    ),
]


@app.command()
@tell_errors
def main(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="CSV, JSON, JSONL, image folder or idx file.")],
    project: ProjectOption,
    labels: LabelsOption = None,
    label_column: LabelColumnOption = None,
    text_column: TextColumnOption = None,
    with_labels: WithLabelsOption = True,
    evaluation: EvaluationOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Fixes which tasks are held out.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if any item has a problem.")] = False,
    url: UrlOption = None,
) -> None:
    """Import tasks into a project, in batches.

    Running it again, after an interruption or with a longer file, imports only what is not there yet. The access
    token of Label Studio comes from LABEL_STUDIO_API_KEY.
    """
    from ml_backend.cli.import_plan import draw_evaluation, make_plan, send_new, summary, tell_eyes, tell_problems
    from ml_backend.label_studio.labeling_config import parse_label_config

    settings, client = connect(url)
    there = client.project(project)
    question = parse_label_config(there.label_config, project=project)
    plan = make_plan(
        path,
        question,
        labels=labels,
        label_column=label_column,
        text_column=text_column,
        check=with_labels or evaluation is not None,
    )
    tell_problems(plan.problems)
    tell_problems(plan.conflicts)
    if strict and (wrong := len(plan.problems) + len(plan.conflicts)):
        raise DataError(f"{wrong:,} items of {path} have problems; nothing was imported (--strict)")
    if evaluation is not None:
        plan.evaluation = draw_evaluation(plan.tasks, evaluation, seed)
    rows = send_new(client, there, question, plan, with_labels=with_labels)
    console.print(summary(rows, plan, skipped=len(plan.tasks) - len(rows)), highlight=False, soft_wrap=True)
    if not plan.tasks:
        raise DataError(f"Nothing in {path} could be imported")
    tell_eyes(client, settings, project, question, plan)
