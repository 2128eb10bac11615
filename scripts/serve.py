"""Start the ML backend on a production WSGI server."""

from __future__ import annotations

from typing import Annotated

import typer
import waitress
from common import log_to_stderr, new_app, tell_errors

from ml_backend.config import load_settings
from ml_backend.server import create_app

THREADS = 8
"""Requests answered at once; rounds have a thread of their own."""


app = new_app()


@app.command()
@tell_errors
def main(
    host: Annotated[str | None, typer.Option(help="address to listen on (HOST, default 127.0.0.1)")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on (PORT, default 9090)")] = None,
) -> None:
    """Start the ML backend. All settings come from the environment; README.md lists them."""
    settings = load_settings(host=host, port=port)
    log_to_stderr(settings.log_level)
    waitress.serve(create_app(settings), host=settings.host, port=settings.port, threads=THREADS, ident=None)


if __name__ == "__main__":
    app()
