"""The whole backend, to be started and stopped: web application, rounds, and the threads that watch projects."""

from __future__ import annotations

from flask import Flask
from waitress.server import MultiSocketServer

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.instant.loop import InstantLoop
from ml_backend.instant.task_reading import TaskReading
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.label_studio.webhook_secret import HEADER
from ml_backend.rounds.tally import tally
from ml_backend.server import create_app, make_doorkeeper, make_rounds
from ml_backend.store.project_store import ProjectStore
from ml_backend.web.listening import make_server


class Application:
    """Everything that one server process does; nothing runs before ``start``.

    Args:
        settings: the installation's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rounds = make_rounds(settings)
        self._reading = TaskReading(settings, told=self._count)
        self._scheduler = Scheduler(settings, self._rounds, news=self._reading.changed)
        self._instant = InstantLoop(settings)
        self._doorkeeper = make_doorkeeper(settings)
        self.web: Flask = create_app(
            settings,
            rounds=self._rounds,
            scheduler=self._scheduler,
            instant=self._instant,
            doorkeeper=self._doorkeeper,
        )
        """For a WSGI server."""

    def listen(self) -> MultiSocketServer:
        """Our own server, at HOST and PORT; ``run`` answers until the process ends.

        Raises:
            ConfigurationError: it cannot listen there.
        """
        settings = self._settings
        try:
            return make_server(
                self.web,
                self._doorkeeper,
                host=settings.host,
                port=settings.port,
                secret_header=HEADER,
                trusted_proxy=settings.trusted_proxy,
            )
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"Cannot listen on {settings.host}, port {settings.port} ({exc}): is a backend running there already? "
                "Correct HOST and PORT."
            ) from exc

    def warnings(self) -> list[str]:
        """What is missing or unsafe in the settings, in sentences."""
        found = []
        if self._settings.insecure and not self._doorkeeper.asks:
            found.append(
                "INSECURE: no password is asked for. Anyone who reaches the port may read tasks and change everything."
            )
        if self._settings.label_studio_api_key is None:
            found.append("LABEL_STUDIO_API_KEY is not set: labels cannot be read, and no rounds start.")
        if self._settings.store_url and self._settings.redis_url is None:
            found.append(
                "STORE_URL is set without REDIS_URL: nothing keeps rounds of two machines apart. Run them on one only."
            )
        return found

    def start(self) -> None:
        """Start to watch the projects, if there is a token to read labels with.

        The process that runs rounds starts with the first one: until then nothing here loads a model's libraries.
        """
        if self._settings.label_studio_api_key is None:
            return
        self._reading.start()
        self._scheduler.start()
        self._instant.start()

    def stop(self) -> None:
        """End what ``start`` began."""
        self._instant.stop()
        self._scheduler.stop()
        self._reading.stop()
        self._rounds.close()

    def _count(self, project_id: int, store: ProjectStore) -> None:
        """Count a project's new labels, after the copy of its tasks was brought up to date."""
        found = tally(store)
        if found is not None:
            self._scheduler.counted(project_id, found.new)
