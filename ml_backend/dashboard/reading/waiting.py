"""The round in progress and those before it: since when, how far, and how long such rounds take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import Any, Final

from ml_backend.dashboard.reading.common import title
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.rounds.log import rounds
from ml_backend.store.project_store import ProjectStore

LAST: Final = 5
"""Number of rounds that "usually" refers to."""
COARSE: Final = 5
"""Seconds between two values of a round's duration, because each new value redraws the page."""


def usual_seconds(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """Median duration of the latest rounds that trained and succeeded; None if there is none."""
    found = [
        (datetime.fromisoformat(line["ended"]) - datetime.fromisoformat(line["started"])).total_seconds()
        for line in lines
        if line.get("trained") and not line.get("error") and line.get("ended") and line.get("started")
    ]
    return median(found[-LAST:]) if found else None


def read_round(services: Services, project_id: int, store: ProjectStore) -> dict[str, Any]:
    """``running``, ``progress``, and in ``waits_for`` the rounds that come before.

    ``progress``: ``step``, ``share`` of it that is done (None if not known), ``started``, ``trigger``, ``seconds``
    since then and the ``usual`` duration of a round. Each entry of ``waits_for``: ``project``, ``title``, and ``step``,
    ``seconds`` and ``usual`` of its round, None if not known.
    """
    progress = _progress(services, project_id, store)
    return {
        "running": progress is not None or services.running(project_id),
        "progress": progress,
        "waits_for": [_ahead(services, other) for other in services.ahead(project_id) if other != project_id],
    }


def _progress(services: Services, project_id: int, store: ProjectStore) -> dict[str, Any] | None:
    found = services.progress(project_id, store)
    if found is None:
        return None
    seconds = services.seconds_since(datetime.fromisoformat(found["started"]))
    return {
        "step": found["step"],
        "share": found["done"] / found["total"] if found["total"] else None,
        "started": found["started"],
        "trigger": found["trigger"],
        "seconds": int(seconds // COARSE) * COARSE,
        "usual": usual_seconds(rounds(store, newest=LAST * 4)),
    }


def _ahead(services: Services, project_id: int) -> dict[str, Any]:
    told: dict[str, Any] = {"project": project_id, "title": None, "step": None, "seconds": None, "usual": None}
    try:
        store = services.store(project_id)
        progress = _progress(services, project_id, store)
        told |= {"title": title(store), "usual": usual_seconds(rounds(store, newest=LAST * 4))}
    except ActiveLearningError:  # its own page reports it
        return told
    return told | ({"step": progress["step"], "seconds": progress["seconds"]} if progress else {})
