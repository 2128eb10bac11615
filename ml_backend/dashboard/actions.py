"""What buttons do: find the project that the page is about, ask for a round, and report how it went."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ml_backend.dashboard import parts
from ml_backend.dashboard.address import number, parse_address
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError, StoreError
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore

log = logging.getLogger(__name__)


def project_of(path: str | None) -> int:
    """The project named by a page's address.

    Raises:
        StoreError: it names none.
    """
    found = number(parse_address(path or "")[0])
    if found is None:
        raise StoreError("This page is about no project; open one from the list.")
    return found


def store_of(services: Services, path: str | None) -> ProjectStore:
    """The store of the project named by a page's address.

    Raises:
        StoreError: there is none.
    """
    return services.store(project_of(path))


def ask(
    services: Services,
    path: str | None,
    more: str = "",
    *,
    train: bool = True,
    pin: str | None = None,
    unpin: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """Ask for a round of the page's project. Returns a message for people, whatever happens."""
    try:
        project_id = project_of(path)
        services.store(project_id)
        asked = services.ask(RoundRequest(project_id, train=train, pin=pin, unpin=unpin, settings=settings or {}))
    except ActiveLearningError as exc:
        return parts.notice(str(exc), "error")
    except Exception as exc:  # a button must always answer
        log.error("dashboard: asking for a round failed", exc_info=exc)
        return parts.notice("The round could not be asked for; the backend's log says why.", "error")
    return parts.notice(f"{asked.words} {more}".strip(), "good" if asked.new else "info")


def cancel_round(services: Services, path: str | None) -> Any:
    """Cancel the rounds of the page's project. Returns a message for people, whatever happens."""
    try:
        found = services.cancel(project_of(path))
    except ActiveLearningError as exc:
        return parts.notice(str(exc), "error")
    if not found:
        return parts.notice("There is no round to cancel: it has ended.", "info")
    return parts.notice("The round was cancelled; model and order are as they were.", "good")
