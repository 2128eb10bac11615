"""What the routes of one server need to answer."""

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
    """Where rounds are requested."""
    projects: KnownProjects
    """Which projects exist."""
    scheduler: Scheduler | None = None
    """Is told of changes. Without it, only START_TRAINING starts a round."""
    instant: InstantLoop | None = None
    """Is told of answers."""
    instance: str = field(default_factory=partial(secrets.token_hex, 8))
    """Distinguishes this server from others, whatever name it is reached by."""
    told_of_config: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """Project → the warnings and notes about its labeling config that were logged."""

    def attach(self, app: Flask) -> None:
        """Make this the source of the application's answers."""
        app.extensions[KEY] = self


def services() -> Services:
    """The services of the application that is answering the current request."""
    return cast(Services, current_app.extensions[KEY])
