"""Connections of a project that lead to one and the same backend: every answer is told to it as often.

``http://localhost:9090`` and ``http://127.0.0.1:9090`` are one server, and so may be two host names: each of our
servers has a mark, which ``/health`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ml_backend.fetching.clients import ask
from ml_backend.fetching.urls import origin_of
from ml_backend.label_studio.client import LabelStudioClient

MARK: Final = "instance"
"""Field of ``/health``."""
TIMEOUT: Final = 3.0
WEBHOOK: Final = "/webhook"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Twins:
    """What leads to a server beside the one backend and the one webhook that are needed."""

    backends: tuple[Row, ...]
    webhooks: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.backends or self.webhooks)


def find_twins(backend: Row, backends: Sequence[Row], webhooks: Sequence[Row], ca_file: Path | None = None) -> Twins:
    """The other connections to a backend's server. Webhooks that are switched off tell nothing, and are none.

    Args:
        backend: the row that is kept.
        backends: those of the project.
        webhooks: those of the project.
        ca_file: see `http_client`.
    """
    url = str(backend["url"]).rstrip("/")
    mark = _mark(url, ca_file)

    def leads_there(other: str) -> bool:
        return _address(other) == _address(url) or (mark is not None and _mark(other, ca_file) == mark)

    others = (row for row in backends if row["id"] != backend["id"])
    hooks = (row for row in webhooks if row["is_active"] and str(row["url"]).rstrip("/") != url + WEBHOOK)
    return Twins(
        tuple(row for row in others if leads_there(str(row["url"]).rstrip("/"))),
        tuple(row for row in hooks if (base := _base(row)) is not None and leads_there(base)),
    )


def drop_twins(client: LabelStudioClient, twins: Twins) -> None:
    """Take them away; a backend that Label Studio forgets leaves its webhook behind, which goes as well."""
    for row in twins.backends:
        client.delete_backend(int(row["id"]))
    for row in twins.webhooks:
        client.delete_webhook(int(row["id"]))


def _base(webhook: Row) -> str | None:
    """The backend that a webhook would be of; None where it is of something else."""
    url = str(webhook["url"]).rstrip("/")
    return url.removesuffix(WEBHOOK) if url.endswith(WEBHOOK) else None


def _address(url: str) -> str:
    try:
        return origin_of(url) + urlsplit(url).path.rstrip("/")
    except ValueError:
        return url


def _mark(url: str, ca_file: Path | None) -> str | None:
    """What a server says that it is; None where it does not answer, or is none of ours."""
    try:
        answer = ask("GET", f"{url}/health", timeout=TIMEOUT, ca_file=ca_file)
        found = answer.raise_for_status().json().get(MARK)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and found else None
