"""Keeps an open page up to date."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update

from ml_backend.dashboard import shell
from ml_backend.dashboard.address import number, parse_address
from ml_backend.dashboard.reading.waiting import read_round
from ml_backend.dashboard.services import Services
from ml_backend.errors import ActiveLearningError
from ml_backend.rounds.measures import numbers


def read_pulse(services: Services, project_id: int) -> dict[str, Any]:
    """Everything that may change from one moment to the next, in a few entries."""
    store = services.store(project_id)
    current, outlook = store.current(), services.outlook(project_id)
    last = services.last_round(store) or {}
    return {
        "project": project_id,
        **read_round(services, project_id, store),
        "labels_waiting": outlook.labels_waiting,
        "numbers": numbers(store),
        "labels_to_go": outlook.labels_to_go,
        "seconds_to_go": None if outlook.seconds_to_go is None else round(outlook.seconds_to_go),
        "failures": outlook.failures,
        "round": last.get("round"),
        "error": last.get("error"),
        "version": current.version,
        "queue": current.queue,
    }


def register(app: Dash, services: Services) -> None:
    """Ask every moment what has changed; answer only if something has."""

    @app.callback(
        Output("pulse", "data"),
        Output("announcer", "children"),
        Input("tick", "n_intervals"),
        Input("url", "pathname"),
        State("pulse", "data"),
    )
    def beat(ticks: int | None, path: str | None, before: dict[str, Any] | None) -> tuple[Any, Any]:
        del ticks
        project_id = number(parse_address(path or "")[0])
        if project_id is None:
            return (no_update, no_update) if before is None else (None, "")
        try:
            pulse = read_pulse(services, project_id)
        except ActiveLearningError:  # the page itself reports the error
            return no_update, no_update
        if pulse == before:
            return no_update, no_update
        return pulse, shell.announcement(pulse, before) or no_update
