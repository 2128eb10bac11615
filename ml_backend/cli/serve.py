"""Start the ML backend on a production WSGI server."""

from __future__ import annotations

import signal
from typing import Annotated

import typer
import waitress

from ml_backend.cli.common import messages, new_app, tell_errors, warn
from ml_backend.config import load_settings
from ml_backend.dashboard.address import PREFIX as DASHBOARD
from ml_backend.instant.loop import InstantLoop
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.logs import configure_logging
from ml_backend.server import create_app, make_rounds

THREADS = 8
"""Requests answered at once; rounds have a process of their own."""


app = new_app()


@app.command()
@tell_errors
def main(
    host: Annotated[str | None, typer.Option(help="address to listen on (HOST, default 127.0.0.1)")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on (PORT, default 9090)")] = None,
) -> None:
    """Start the ML backend. All settings come from the environment; README.md lists them."""
    settings = load_settings(host=host, port=port)
    configure_logging(settings)
    rounds = make_rounds(settings)
    scheduler = Scheduler(settings, rounds)
    instant = InstantLoop(settings)
    web = create_app(settings, rounds=rounds, scheduler=scheduler, instant=instant)
    if settings.label_studio_api_key is None:
        warn("LABEL_STUDIO_API_KEY is not set: labels cannot be read, and no rounds start.")
    else:
        scheduler.start()
        rounds.start()
        instant.start()
    if settings.store_url and settings.redis_url is None:
        warn("STORE_URL is set without REDIS_URL: nothing keeps rounds of two machines apart. Run them on one only.")
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    messages.print(f"Dashboard: http://{shown}:{settings.port}{DASHBOARD}", highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _stop)
    try:
        waitress.serve(web, host=settings.host, port=settings.port, threads=THREADS, ident=None)
    finally:
        instant.stop()
        scheduler.stop()
        rounds.close()


def _stop(*_: object) -> None:
    """End as after Ctrl-C: a container's first process would ignore SIGTERM, and be killed."""
    raise SystemExit(0)
