"""Export a project's annotations: one row for each, with the model and the strategy that asked for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, tell_errors
from ml_backend.errors import DataError

app = new_app()


@app.command()
@tell_errors
def main(
    project: ProjectOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: its name ends in .json or .csv.")],
    full: Annotated[bool, typer.Option("--full", help="Do not shorten embedded images in a CSV file.")] = False,
    url: UrlOption = None,
) -> None:
    """Export the annotations of a project, one row for each, as JSON or CSV.

    A row tells the task and its data, the label, who gave it, when and in how many seconds, whether the task was
    skipped, the label that all annotators of the task agree on, and which queue, model version and strategy put the
    task in front of the person. The access token of Label Studio comes from LABEL_STUDIO_API_KEY.
    """
    from ml_backend.cli.annotation_rows import annotation_rows, annotators, csv_text, write_whole
    from ml_backend.label_studio.labeling_config import parse_label_config

    kind = out.suffix.lower()
    if kind not in (".json", ".csv"):
        raise DataError(f"--out {out}: the name must end in .json or .csv")
    _, client = connect(url)
    question = parse_label_config(client.project(project).label_config, project=project)
    rows = list(annotation_rows(client.export(project), question, annotators(client)))
    text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n" if kind == ".json" else csv_text(rows, full=full)
    write_whole(out, text)
    console.print(f"Exported {len(rows):,} annotations to {out}", highlight=False, soft_wrap=True)
