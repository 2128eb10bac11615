"""Start the ML backend on a production WSGI server."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from ml_backend.cli.common import messages, new_app, tell_errors, warn

app = new_app()


@app.command()
@tell_errors
def main(
    host: Annotated[str | None, typer.Option(help="address to listen on (HOST, default 127.0.0.1)")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on (PORT, default 9090)")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="listen beyond this machine without a password (INSECURE)")
    ] = False,
) -> None:
    """Start the ML backend. All settings come from the environment; docs/reference/settings.md lists them."""
    from ml_backend.application import Application
    from ml_backend.config import load_settings
    from ml_backend.dashboard.address import PREFIX
    from ml_backend.logs import configure_logging
    from ml_backend.web.hosts import refuse_open_door

    settings = load_settings(host=host, port=port, insecure=insecure or None)
    refuse_open_door(settings)
    configure_logging(settings)
    application = Application(settings)
    for line in application.warnings():
        warn(line)
    application.start()
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    messages.print(f"Dashboard: http://{shown}:{settings.port}{PREFIX}", highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _stop)
    try:
        application.listen().run()
    finally:
        application.stop()


def _stop(*_: object) -> None:
    """End as after Ctrl-C: a container's first process would ignore SIGTERM, and be killed."""
    raise SystemExit(0)
