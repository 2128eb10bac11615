"""What the routes of one server answer from."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

from flask import Flask, current_app

from ml_backend.config import Settings
from ml_backend.instant.loop import InstantLoop
from ml_backend.jobs.job import Rounds
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.web.projects import KnownProjects

KEY: Final = "active_learning"


@dataclass(frozen=True)
class Services:
    """One installation, as its routes see it."""

    settings: Settings
    rounds: Rounds
    """Where rounds are asked for."""
    projects: KnownProjects
    """Which projects there are."""
    scheduler: Scheduler | None = None
    """Hears of changes. Without it, only START_TRAINING starts a round."""
    instant: InstantLoop | None = None
    """Hears of answers."""
    instance: str = field(default_factory=partial(secrets.token_hex, 8))
    """Tells this server from others, whatever the name that it is asked under."""
    told_of_config: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Project → warnings and notes about its labeling config that the log has."""

    def attach(self, app: Flask) -> None:
        """Answer this application's requests from here."""
        app.extensions[KEY] = self


def services() -> Services:
    """Those of the application that answers the request under way."""
    return cast(Services, current_app.extensions[KEY])
