"""A project made ready: its labeling config, its sampling, the backend and the webhook to it."""

from __future__ import annotations

import ipaddress
import socket
from base64 import b64encode
from typing import Final
from urllib.parse import urlsplit

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, LabelStudioError, LabelStudioRejected, LabelStudioUnauthorized
from ml_backend.label_studio.client import BACKEND_TITLE, UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.records import Project

PRIVATE_ADDRESS: Final = (
    "Label Studio refuses addresses on its own machine or a private network unless it was started with both "
    "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false: set both and restart it"
)
REFUSALS: Final = ("reserved network address", "ssrf", "private")


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


def connect_backend(client: LabelStudioClient, project_id: int, backend_url: str, settings: Settings) -> list[str]:
    """Connect the backend, and make sure that its webhook is there as well; what there is to say about that one.

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
    return ensure_webhook(client, project_id, backend_url, settings)


def ensure_webhook(client: LabelStudioClient, project_id: int, backend_url: str, settings: Settings) -> list[str]:
    """Exactly one webhook to the backend, which names the project and carries the backend's basic auth.

    Label Studio makes it together with a new backend, but not for one whose URL changed; it loses it without a word
    where only ML_BLOCK_LOCAL_IP=false is set; and it never sends the backend's basic auth with it. In each case
    annotations would start no rounds. One that is switched off stays so: somebody did that on purpose.

    Returns:
        What was found and done, in sentences for people; nothing where all was right.

    Raises:
        LabelStudioRejected: Label Studio takes no webhook to this address.
    """
    wanted, headers = f"{backend_url}/webhook", authorization(settings)
    found = [row for row in client.webhooks(project_id) if row["url"].rstrip("/") == wanted]
    if not found:
        try:
            client.create_webhook(project_id, wanted, headers)
        except LabelStudioError as exc:
            raise LabelStudioRejected(
                f"The backend is connected, but its webhook is missing, so annotations start no training. {exc} "
                f"{PRIVATE_ADDRESS}, and run this again."
            ) from exc
        return [f"The webhook {wanted} was missing; it is there now."]
    kept = next((row for row in found if row["is_active"]), found[0])
    told = []
    for row in found:
        if row is not kept:
            client.delete_webhook(row["id"])
            told.append(f"The webhook {wanted} was there twice; one is left.")
    if not kept["is_active"]:
        told.append(f"The webhook {wanted} is switched off: annotations start no training. See Settings > Webhooks.")
    right = {"send_payload": True, "headers": {**(kept["headers"] or {}), **headers}}
    if any(kept[name] != value for name, value in right.items()):
        # The list of actions goes along: Label Studio empties it in a change that does not name it.
        client.change_webhook(kept["id"], right | {"actions": kept["actions"]})
    return told


def authorization(settings: Settings) -> dict[str, str]:
    """The header that a webhook must carry to be let in; empty where the backend asks for none."""
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if not user or password is None:
        return {}
    return {"Authorization": "Basic " + b64encode(f"{user}:{password.get_secret_value()}".encode()).decode()}


def refuses_address(message: str) -> bool:
    """Whether Label Studio's answer is about the address, not about the backend behind it."""
    return any(word in message.lower() for word in REFUSALS)


def is_private(url: str) -> bool:
    """Whether a URL's host is on this machine or a private network, as seen from here."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname or "", None)
    except (OSError, ValueError):
        return False
    return any(ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_private for item in found)
