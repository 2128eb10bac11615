"""The product's WSGI application under the server that it ships with, in this process by default on a free port."""

from __future__ import annotations

import threading

import waitress
from flask import Flask
from waitress import wasyncore

from ml_backend.config import Settings
from ml_backend.label_studio.connection import make_client
from ml_backend.server import create_app, make_rounds


class ServedApp:
    """A running application; ``close`` ends it."""

    def __init__(self, app: Flask, *, port: int = 0) -> None:
        self._server = waitress.create_server(app, host="127.0.0.1", port=port, threads=4)
        self.url = f"http://127.0.0.1:{self._server.effective_port}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            wasyncore.loop(timeout=0.1, map=self._server._map, count=1)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._server._map)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class Backend:
    """The product's server with these settings, without a scheduler."""

    def __init__(self, settings: Settings, *, port: int = 0) -> None:
        self.settings = settings
        self.rounds = make_rounds(settings)
        self._served = ServedApp(create_app(settings, rounds=self.rounds), port=port)
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
