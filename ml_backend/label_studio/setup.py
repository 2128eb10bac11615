"""Prepares a project: its labeling config, its sampling, the backend and the backend's webhook."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, LabelConfigError, LabelStudioRejected, LabelStudioUnauthorized
from ml_backend.label_studio.client import BACKEND_TITLE, UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.layout import read_layout
from ml_backend.label_studio.webhooks import PRIVATE_ADDRESS, ensure_webhook
from ml_backend.records import Project

REFUSALS: Final = ("reserved network address", "ssrf", "private")


def make_project(
    client: LabelStudioClient, title: str, xml: str, question: ChoiceQuestion | None, description: str = ""
) -> Project:
    """Find the project of this title, or create it; it serves by uncertainty.

    If ``question`` is None (nothing is learnt from the config), an existing project must show and ask the same things.

    Raises:
        ConfigurationError: an existing project of this title asks another question.
    """
    project = client.find_project(title)
    if project is None:
        takes_empty = question is not None and question.none_is_an_answer
        return client.create_project(title, xml, description=description, takes_empty=takes_empty)
    if project.label_config.strip() and not _asks(project, xml, question):
        raise ConfigurationError(
            f'Project {project.id} is titled "{title}" too, but its labeling config asks another question. '
            f"Choose another title, or change that project's config (Settings > Labeling Interface)."
        )
    changes = {"sampling": UNCERTAINTY_SAMPLING, "show_collab_predictions": True}
    if not project.label_config.strip():
        changes["label_config"] = xml
    client.request("PATCH", f"api/projects/{project.id}", body=changes, what=f"Project {project.id}")
    return client.project(project.id)


def _asks(project: Project, xml: str, question: ChoiceQuestion | None) -> bool:
    """Whether a project asks this question; for None, whether it has the same controls and objects as ``xml``."""
    try:
        if question is None:
            return read_layout(project.label_config, project=project.id) == read_layout(xml)
        return parse_label_config(project.label_config, project=project.id, wanted=question.wanted) == question
    except LabelConfigError:
        return False


def connect_backend(
    client: LabelStudioClient,
    project_id: int,
    backend_url: str,
    settings: Settings,
    params: Mapping[str, Any] | None = None,
) -> list[str]:
    """Connect the backend and make sure that its webhook exists. Returns sentences about the webhook.

    ``params`` are the project's extra params; None leaves them as they are.

    Raises:
        LabelStudioRejected: Label Studio refused the address, could not reach the backend, or makes no webhook for it.
    """
    secret = settings.basic_auth_pass
    before = {row["url"].rstrip("/") for row in client.backends(project_id) if row["title"] == BACKEND_TITLE}
    try:
        client.connect_backend(
            project_id,
            backend_url,
            title=BACKEND_TITLE,
            user=settings.basic_auth_user,
            password=secret.get_secret_value() if secret else None,
            params=params,
        )
    except (LabelStudioRejected, LabelStudioUnauthorized) as exc:
        if not refuses_address(str(exc)):
            raise
        saved = any(row["url"].rstrip("/") == backend_url for row in client.backends(project_id))
        half = "It kept the backend all the same, but without its webhook, so annotations start no training. "
        raise LabelStudioRejected(f"{exc} {half if saved else ''}{PRIVATE_ADDRESS}, and run this again.") from exc
    return [
        *ensure_webhook(client, project_id, backend_url, settings),
        *_drop_webhooks_to(client, project_id, before - {backend_url}),
    ]


def _drop_webhooks_to(client: LabelStudioClient, project_id: int, addresses: set[str]) -> list[str]:
    """Delete the webhooks to the backend's former address.

    Label Studio keeps them, and waits for them at each annotation.

    Returns:
        What was done, in sentences for people.
    """
    left = [row for row in client.webhooks(project_id) if row["url"].rstrip("/").removesuffix("/webhook") in addresses]
    for row in left:
        client.delete_webhook(row["id"])
    return [f"The webhook {row['url']} led to the backend's old address and was deleted." for row in left]


def refuses_address(message: str) -> bool:
    """Whether Label Studio's message is about the address itself, not about the backend behind it."""
    return any(word in message.lower() for word in REFUSALS)


def is_private(url: str) -> bool:
    """Whether a URL's host is on this machine or a private network, as seen from here."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname or "", None)
    except (OSError, ValueError):
        return False
    return any(ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_private for item in found)
