"""Make a Label Studio project from a labeling config, or find it by its title, and connect the ML backend to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ml_backend.cli.common import UrlOption, connect, console, new_app, tell_errors, warn

if TYPE_CHECKING:
    from ml_backend.config import ProjectSettings
    from ml_backend.label_studio.labeling_config import ChoiceQuestion

EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"

app = new_app()


@app.command()
@tell_errors
def main(
    config: Annotated[Path, typer.Option("--config", "-c", help="A file, or mnist, headlines or photos.")],
    title: Annotated[
        str,
        typer.Option("--title", "-t", help="Title of the project. An existing project with this title is used again."),
    ],
    backend_url: Annotated[
        str | None, typer.Option("--backend-url", help="Connect the ML backend at this URL.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="Description of a new project.")] = "",
    params: Annotated[
        str | None,
        typer.Option("--params", help='Settings of the project, as JSON, such as \'{"embedding_field": "vector"}\'.'),
    ] = None,
    url: UrlOption = None,
) -> None:
    """Make a project from a labeling config, or find it by its title, and connect the ML backend to it.

    Running it again changes nothing that is already right. The backend's user name and password come from
    BASIC_AUTH_USER and BASIC_AUTH_PASS, the access token of Label Studio from LABEL_STUDIO_API_KEY.
    """
    from ml_backend.config import load_settings
    from ml_backend.files import read_text
    from ml_backend.label_studio.client import untested
    from ml_backend.label_studio.setup import connect_backend, make_project
    from ml_backend.rounds.extra_params import read_extra_params, set_extra_params, settings_so_far

    xml, changes = read_text(config if config.exists() else example(config)), read_extra_params(params)
    defaults = load_settings(label_studio_url=url).project_settings(changes, where="--params")
    question, eyes = understood(xml, f'"{title}" ({config})', defaults)
    settings, client = connect(url)
    project = make_project(client, title, xml, question, description)
    console.print(
        f"Project {project.id}: {settings.pages_url}/projects/{project.id}/data", highlight=False, soft_wrap=True
    )
    if not project.task_count:  # else its tasks have told more than this, when they came
        console.print(eyes, highlight=False, soft_wrap=True, markup=False)
    if told := untested(client.version()):
        warn(f"{told}. When there is an order, prove it: lsal doctor --project {project.id} --order 20")
    if backend_url:
        kept = changes if params is not None else settings_so_far(settings, client, project)
        for line in connect_backend(client, project.id, backend_url.rstrip("/"), settings, kept):
            warn(line)
        console.print(f"Backend connected: {backend_url}", highlight=False, soft_wrap=True)
    elif params is not None:
        set_extra_params(settings, project.uid, changes)


def understood(xml: str, project: str, defaults: ProjectSettings) -> tuple[ChoiceQuestion | None, str]:
    """The question of a config, and what will learn it, in words.

    None where another model's predictions order tasks, and where the choices come with tasks.

    Raises:
        LabelConfigError: it cannot be learnt from, and nothing else orders the tasks.
    """
    from ml_backend.errors import ChoicesToCome, LabelConfigError
    from ml_backend.label_studio.labeling_config import read_label_config
    from ml_backend.label_studio.layout import read_layout
    from ml_backend.rounds.encoder_preview import preview
    from ml_backend.rounds.predicted.wanted import by_predictions

    if by_predictions(defaults):
        asked = ", ".join(read_layout(xml, project=project).controls)
        return None, f"Ordered by another model's predictions, as the strategy says; nothing is learnt of: {asked}."
    try:
        found = read_label_config(xml, project=project, wanted=defaults.wanted)
    except ChoicesToCome as exc:
        return None, str(exc)
    except LabelConfigError as exc:
        told = (
            """Or learn from numbers of your own: --params '{"embedding_field": NAME}'; or let another model's """
            """predictions order any labeling config: --params '{"strategy": "predictions"}'."""
        )
        raise LabelConfigError(f"{exc} {told}") from exc
    for warning in (*found.warnings, *found.notes):
        warn(f"{warning}.")
    return found.question, preview(found.question, defaults, [])


def example(config: Path) -> Path:
    """The labeling config of an example by its name; another path as it is."""
    found = EXAMPLES / f"{config}.xml"
    return found if found.is_file() else config
