"""Pages on the backend's own server, at ``/dashboard/``: what the model has learnt, what it asks for, when to stop.

``reading``: the store → plain data, which ``/dashboard/api`` gives as it is. ``pages``: that data → a layout. Nothing
here trains, scores or reads Label Studio while a page waits: buttons ask for rounds, which run where all rounds do.
"""

from __future__ import annotations

from flask import Flask

from ml_backend.config import Settings
from ml_backend.scheduler import Scheduler
from ml_backend.worker import Rounds

PREFIX = "/dashboard/"


def add_dashboard(server: Flask, settings: Settings, rounds: Rounds, scheduler: Scheduler | None) -> None:
    """Serve the dashboard from ``server``, which has authenticated every request that gets here.

    Args:
        server: the backend.
        settings: the installation's.
        rounds: where rounds are asked for.
        scheduler: knows what is waiting; None where no rounds start by themselves.
    """
    # Here, not at the top: Dash takes a second or two, which a script that only needs the server's parts should not.
    from ml_backend.dashboard.app import serve

    serve(server, settings, rounds, scheduler)
