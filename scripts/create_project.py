"""Make a Label Studio project from a labeling config, or find it by its title, and connect the ML backend to it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Annotated

import typer
from common import UrlOption, connect, console, new_app, tell_errors, warn

from ml_backend.config import Settings
from ml_backend.doctor.connection import PRIVATE_ADDRESS, refuses_address
from ml_backend.errors import ConfigurationError, LabelStudioError, LabelStudioRejected, LabelStudioUnauthorized
from ml_backend.files import read_text
from ml_backend.label_studio.client import BACKEND_TITLE, UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.records import Project

app = new_app()


@app.command()
@tell_errors
def main(
    config: Annotated[Path, typer.Option("--config", "-c", help="Labeling config, such as label_configs/mnist.xml.")],
    title: Annotated[str, typer.Option("--title", "-t", help="Title of the project. One of this title is used again.")],
    backend_url: Annotated[
        str | None, typer.Option("--backend-url", help="Connect the ML backend at this URL.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="Description of a new project.")] = "",
    url: UrlOption = None,
) -> None:
    """Make a project from a labeling config, or find it by its title, and connect the ML backend to it.

    Running it again changes nothing that is right already. The backend's user name and password come from
    BASIC_AUTH_USER and BASIC_AUTH_PASS, the access token of Label Studio from LABEL_STUDIO_API_KEY.
    """
    xml = read_text(config)
    question = parse_label_config(xml, project=f'"{title}" ({config})')
    settings, client = connect(url)
    project = make_project(client, title, xml, question, description)
    console.print(f"Project {project.id}: {client.url}/projects/{project.id}/data", highlight=False, soft_wrap=True)
    if backend_url:
        connect_backend(client, project.id, backend_url.rstrip("/"), settings)
        console.print(f"Backend connected: {backend_url}", highlight=False, soft_wrap=True)


def make_project(
    client: LabelStudioClient, title: str, xml: str, question: ChoiceQuestion, description: str = ""
) -> Project:
    """The project of this title, made where there is none, serving by uncertainty.

    Raises:
        ConfigurationError: the project of this title asks another question.
    """
    project = client.find_project(title)
    if project is None:
        return client.create_project(title, xml, description=description)
    if project.label_config.strip() and parse_label_config(project.label_config, project=project.id) != question:
        raise ConfigurationError(
            f'Project {project.id} is titled "{title}" too, but its labeling config asks another question. '
            f"Choose another title, or change the config in {client.url}/projects/{project.id}/settings/labeling"
        )
    changes = {"sampling": UNCERTAINTY_SAMPLING, "show_collab_predictions": True}
    if not project.label_config.strip():
        changes["label_config"] = xml
    client.request("PATCH", f"api/projects/{project.id}", body=changes, what=f"Project {project.id}")
    return client.project(project.id)


def connect_backend(client: LabelStudioClient, project_id: int, backend_url: str, settings: Settings) -> None:
    """Connect the backend, and make sure that its webhook is there as well.

    Raises:
        LabelStudioRejected: Label Studio refused the address, could not reach the backend, or keeps no webhook for it.
    """
    secret = settings.basic_auth_pass
    try:
        client.connect_backend(
            project_id,
            backend_url,
            title=BACKEND_TITLE,
            user=settings.basic_auth_user,
            password=secret.get_secret_value() if secret else None,
        )
    except (LabelStudioRejected, LabelStudioUnauthorized) as exc:
        if not refuses_address(str(exc)):
            raise
        saved = any(row["url"].rstrip("/") == backend_url for row in client.backends(project_id))
        half = "It kept the backend all the same, but without its webhook: annotations start no training. "
        raise LabelStudioRejected(f"{exc} {half if saved else ''}{PRIVATE_ADDRESS}, and run this again.") from exc
    ensure_webhook(client, project_id, backend_url, settings)


def ensure_webhook(client: LabelStudioClient, project_id: int, backend_url: str, settings: Settings) -> None:
    """Exactly one webhook to the backend, which names the project and carries the backend's basic auth.

    Label Studio makes it together with a new backend, but not for one whose URL changed; it loses it without a word
    where only ML_BLOCK_LOCAL_IP=false is set; and it never sends the backend's basic auth with it. In each case
    annotations would start no rounds. One that is switched off stays so: somebody did that on purpose.
    """
    wanted, headers = f"{backend_url}/webhook", _authorization(settings)
    found = [row for row in client.webhooks(project_id) if row["url"].rstrip("/") == wanted]
    if not found:
        try:
            client.create_webhook(project_id, wanted, headers)
        except LabelStudioError as exc:
            raise LabelStudioRejected(
                f"The backend is connected, but its webhook is missing, so annotations start no training. {exc} "
                f"{PRIVATE_ADDRESS}, and run this again."
            ) from exc
        warn(f"The webhook {wanted} was missing; it is there now.")
        return
    kept = next((row for row in found if row["is_active"]), found[0])
    for row in found:
        if row is not kept:
            client.delete_webhook(row["id"])
            warn(f"The webhook {wanted} was there twice; one is left.")
    if not kept["is_active"]:
        warn(f"The webhook {wanted} is switched off: annotations start no training. See Settings > Webhooks.")
    right = {"send_payload": True, "headers": {**(kept["headers"] or {}), **headers}}
    if any(kept[name] != value for name, value in right.items()):
        # The list of actions goes along: Label Studio empties it in a change that does not name it.
        client.change_webhook(kept["id"], right | {"actions": kept["actions"]})


def _authorization(settings: Settings) -> dict[str, str]:
    """The header that a webhook must carry to be let in; empty where the backend asks for none."""
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if not user or password is None:
        return {}
    return {"Authorization": "Basic " + b64encode(f"{user}:{password.get_secret_value()}".encode()).decode()}


if __name__ == "__main__":
    app()
