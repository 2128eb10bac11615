"""The product's WSGI application under the server that it ships with, in this process by default on a free port."""

from __future__ import annotations

import threading

from flask import Flask
from waitress import wasyncore

from ml_backend.config import Settings
from ml_backend.label_studio.connection import make_client
from ml_backend.label_studio.webhook_secret import HEADER
from ml_backend.server import create_app, make_doorkeeper, make_rounds
from ml_backend.web.auth import Doorkeeper
from ml_backend.web.listening import make_server


class ServedApp:
    """A running application; ``close`` ends it."""

    def __init__(
        self, app: Flask, doorkeeper: Doorkeeper | None = None, *, port: int = 0, trusted_proxy: str | None = None
    ) -> None:
        keeper = doorkeeper or Doorkeeper(Settings())
        self._server = make_server(
            app, keeper, host="127.0.0.1", port=port, secret_header=HEADER, trusted_proxy=trusted_proxy
        )
        self.url = f"http://127.0.0.1:{self._server.effective_listen[0][1]}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            wasyncore.loop(timeout=0.1, map=self._server.map, count=1)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._server.map)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class Backend:
    """The product's server with these settings, without a scheduler."""

    def __init__(self, settings: Settings, *, port: int = 0) -> None:
        self.settings = settings
        self.rounds = make_rounds(settings)
        keeper = make_doorkeeper(settings)
        self._served = ServedApp(create_app(settings, rounds=self.rounds, doorkeeper=keeper), keeper, port=port)
        self.url = self._served.url

    def close(self) -> None:
        self._served.close()
        self.rounds.close()
        forget_client(self.settings)


def forget_client(settings: Settings) -> None:
    """Close the client that all requests share: left to the garbage collector, its sockets would warn."""
    if settings.label_studio_api_key:
        make_client(settings).close()
        make_client.cache_clear()
