"""The backend as one thing to start and stop: its web application, where rounds run, and what watches projects."""

from __future__ import annotations

from flask import Flask

from ml_backend.config import Settings
from ml_backend.instant.loop import InstantLoop
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.server import create_app, make_rounds


class Application:
    """Everything that one server process does; nothing runs before ``start``.

    Args:
        settings: the installation's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rounds = make_rounds(settings)
        self._scheduler = Scheduler(settings, self._rounds)
        self._instant = InstantLoop(settings)
        self.web: Flask = create_app(settings, rounds=self._rounds, scheduler=self._scheduler, instant=self._instant)
        """For a WSGI server."""

    def warnings(self) -> list[str]:
        """What the settings lack, in sentences."""
        found = []
        if self._settings.label_studio_api_key is None:
            found.append("LABEL_STUDIO_API_KEY is not set: labels cannot be read, and no rounds start.")
        if self._settings.store_url and self._settings.redis_url is None:
            found.append(
                "STORE_URL is set without REDIS_URL: nothing keeps rounds of two machines apart. Run them on one only."
            )
        return found

    def start(self) -> None:
        """Watch the projects, where there is a token to read labels with.

        The process that runs rounds starts with the first one: until then nothing here loads a model's libraries.
        """
        if self._settings.label_studio_api_key is None:
            return
        self._scheduler.start()
        self._instant.start()

    def stop(self) -> None:
        """End what ``start`` began."""
        self._instant.stop()
        self._scheduler.stop()
        self._rounds.close()
