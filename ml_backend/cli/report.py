"""Write what the dashboard shows into files: one HTML page that needs no network, and plots as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml_backend.cli.common import ProjectOption, console, new_app, tell_errors

app = new_app()


@app.command()
@tell_errors
def main(
    project: ProjectOption,
    out: Annotated[Path, typer.Option(help="Folder to write to; files of an older report are replaced.")],
    model_dir: Annotated[Path | None, typer.Option(help="Folder of model versions. [default: MODEL_DIR]")] = None,
) -> None:
    """Write report.html and PNG plots of one project. It only reads the store: Label Studio need not run."""
    from ml_backend.config import load_settings
    from ml_backend.dashboard.report import write_report
    from ml_backend.dashboard.services import Services
    from ml_backend.jobs.local_queue import LocalRoundQueue

    settings = load_settings(model_dir=model_dir)
    services = Services(settings, LocalRoundQueue(lambda *_: {}))
    for path in write_report(services, project, out):
        console.print(str(path), highlight=False, soft_wrap=True)
