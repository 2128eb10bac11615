"""Finds connections of a project that lead to the same backend, which would be told every answer several times.

``http://localhost:9090`` and ``http://127.0.0.1:9090`` are the same server, and two host names may be as well. To tell,
each of our servers has a mark of its own, which ``/health`` returns.
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
"""Field of ``/health`` that holds the mark."""
TIMEOUT: Final = 3.0
WEBHOOK: Final = "/webhook"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Twins:
    """Connections to a server in addition to the one backend and one webhook that are needed."""

    backends: tuple[Row, ...]
    webhooks: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.backends or self.webhooks)


def find_twins(backend: Row, backends: Sequence[Row], webhooks: Sequence[Row], ca_file: Path | None = None) -> Twins:
    """Find the other connections to a backend's server. Webhooks that are switched off send nothing, and do not count.

    Args:
        backend: the row that is kept.
        backends: all backends of the project.
        webhooks: all webhooks of the project.
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
    """Delete the connections. Label Studio keeps a deleted backend's webhook, so webhooks are deleted separately."""
    for row in twins.backends:
        client.delete_backend(int(row["id"]))
    for row in twins.webhooks:
        client.delete_webhook(int(row["id"]))


def _base(webhook: Row) -> str | None:
    """The backend's address that a webhook belongs to; None if it belongs to something else."""
    url = str(webhook["url"]).rstrip("/")
    return url.removesuffix(WEBHOOK) if url.endswith(WEBHOOK) else None


def _address(url: str) -> str:
    try:
        return origin_of(url) + urlsplit(url).path.rstrip("/")
    except ValueError:
        return url


def _mark(url: str, ca_file: Path | None) -> str | None:
    """The mark of a server; None if it does not answer, or is not one of ours."""
    try:
        answer = ask("GET", f"{url}/health", timeout=TIMEOUT, ca_file=ca_file)
        found = answer.raise_for_status().json().get(MARK)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and found else None
