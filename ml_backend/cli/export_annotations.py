"""Export a project's annotations, each with what asked for it, in the forms that other tools read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, UrlOption, connect, console, new_app, tell_errors, warn

app = new_app()


class Form(StrEnum):
    """Of `exporting.export.FORMS`, which is not imported for the help."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    LABEL_STUDIO = "label-studio"
    DATASETS = "datasets"


class Images(StrEnum):
    """Where a data set has its images."""

    BESIDE = "beside"
    URL = "url"


@app.command()
@tell_errors
def main(
    project: ProjectOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write (.csv, .json, .jsonl), or a new folder for datasets.")
    ],
    form: Annotated[
        Form | None, typer.Option("--format", help="What to write. [default: by the name of --out]")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten embedded images in a CSV file.")] = False,
    images: Annotated[
        Images, typer.Option("--images", help="In a datasets folder: image files beside the rows, or as in the tasks.")
    ] = Images.BESIDE,
    url: UrlOption = None,
) -> None:
    """Export the annotations of a project, one row for each.

    A row tells the task and its data, the label, who gave it, when and in how many seconds, whether the task was
    skipped, the label that all annotators of the task agree on, what chose the task, at which place of which queue, and
    the guess with its probability. Where the page asks more than one question, a row has the answer to each, too.
    `csv`, `json` and `jsonl` are rows; `datasets` is a folder for Hugging Face's
    `load_dataset`, with the splits train, control and evaluation; `label-studio` is all tasks in Label Studio's own
    form, to be imported again. The access token of Label Studio comes from LABEL_STUDIO_API_KEY, and what chose the
    tasks from the store in MODEL_DIR.
    """
    from ml_backend.exporting.export import FORMS, WHOLE, Options, form_of, read_export
    from ml_backend.label_studio.connection import make_fetcher
    from ml_backend.label_studio.media import MediaReader
    from ml_backend.store.registry import stores_of

    wanted = form_of(out, form)
    settings, client = connect(url)
    store = stores_of(settings).open(project)
    defaults = settings.project_defaults()
    export = read_export(client, project, store, whole=wanted == WHOLE, defaults=defaults)
    if store is None:
        warn(f"Nothing is known about project {project} in {settings.model_dir}: shares and places are left out.")
    beside = images is Images.BESIDE
    media = MediaReader(client, fetcher=make_fetcher(settings)) if beside else None
    FORMS[wanted](export, out, Options(full=full, media=media))
    console.print(f"Exported {len(export.rows):,} annotations to {out}", highlight=False, soft_wrap=True)
