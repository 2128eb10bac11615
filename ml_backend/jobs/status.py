"""What ``/status`` says about one project."""

from __future__ import annotations

from typing import Any

from ml_backend.errors import ActiveLearningError
from ml_backend.jobs.job import Rounds
from ml_backend.jobs.trigger import NextRound
from ml_backend.rounds.log import rounds as logged_rounds
from ml_backend.rounds.measures import numbers, present
from ml_backend.store.project_store import ProjectStore


def project_status(
    project_id: int, store: ProjectStore, outlook: NextRound, rounds: Rounds, *, is_deleted: bool
) -> dict[str, Any]:
    """One project, for people; of a damaged store the error."""
    last = next(iter(logged_rounds(store, newest=1)), None)
    status = {
        "last_round": last,
        "labels_waiting": outlook.labels_waiting,
        "next_round_in": None
        if outlook.seconds_to_go is None
        else {"labels": outlook.labels_to_go, "seconds": round(outlook.seconds_to_go, 1)},
        "failures": outlook.failures,
        "last_error": outlook.error or (last or {}).get("error"),
        "deleted": is_deleted,
    }
    try:
        current = store.current()
        return status | {
            "version": current.version,
            "queue": current.queue,
            "numbers": numbers(store),
            "measures": present(store),
            "running": rounds.running(project_id),
            "waits_for": list(rounds.ahead(project_id)),
        }
    except ActiveLearningError as exc:  # the other projects are shown all the same
        unknown: dict[str, Any] = {"version": None, "queue": None, "numbers": None, "measures": {}}
        unknown |= {"running": None, "waits_for": []}
        return status | unknown | {"last_error": str(exc)}
