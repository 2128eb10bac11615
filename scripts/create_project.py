"""Make a Label Studio project from a labeling config, or find it by its title, and connect the ML backend to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from common import UrlOption, connect, console, new_app, tell_errors, warn

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, LabelStudioError, LabelStudioRejected, LabelStudioUnauthorized
from ml_backend.label_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.records import Project
from ml_backend.text_files import read_text

BACKEND_TITLE: Final = "Active learning"
PRIVATE_ADDRESS: Final = (
    "Label Studio refuses backends and webhooks on this machine or a private network unless it was started with both "
    "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false. Set both, restart it, and run this again."
)
REFUSALS: Final = ("reserved network address", "ssrf", "private")
"""Words in Label Studio's answers to an address that it does not like."""

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
        if not refuses_address(exc):
            raise
        saved = any(row["url"].rstrip("/") == backend_url for row in client.backends(project_id))
        half = "It kept the backend all the same, but without its webhook: annotations start no training. "
        raise LabelStudioRejected(f"{exc} {half if saved else ''}{PRIVATE_ADDRESS}") from exc
    ensure_webhook(client, project_id, backend_url)


def ensure_webhook(client: LabelStudioClient, project_id: int, backend_url: str) -> None:
    """Make the backend's webhook where it is missing.

    Label Studio makes it together with a new backend, but not for one whose URL changed, and it loses it without a
    word where only ML_BLOCK_LOCAL_IP=false is set: then annotations never start a training.
    """
    wanted = f"{backend_url}/webhook"
    params = {"project": project_id}
    rows = client.request("GET", "api/webhooks/", params=params, what=f"Project {project_id}").json()
    found = [row for row in rows if row["url"] == wanted]
    if any(row["is_active"] for row in found):
        return
    if found:
        warn(f"The webhook {wanted} is switched off: annotations start no training. See Settings > Webhooks.")
        return
    body = {"project": project_id, "url": wanted, "send_payload": True, "send_for_all_actions": True}
    try:
        client.request("POST", "api/webhooks/", body=body, retries=0, what=f"Webhook {wanted}")
    except LabelStudioError as exc:
        raise LabelStudioRejected(
            f"The backend is connected, but its webhook is missing, so annotations start no training. {exc} "
            f"{PRIVATE_ADDRESS}"
        ) from exc
    warn(f"The webhook {wanted} was missing; it is there now.")


def refuses_address(exc: LabelStudioError) -> bool:
    """Whether Label Studio's answer is about the address, not about the backend behind it."""
    return any(word in str(exc).lower() for word in REFUSALS)


if __name__ == "__main__":
    app()
