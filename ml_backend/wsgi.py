"""For a WSGI server of your own: ``gunicorn --workers 1 --threads 8 ml_backend.wsgi:app``.

One worker: rounds and the order between them belong to one process. Settings come from the environment.
"""

from __future__ import annotations

import atexit
import logging

from flask import Flask

from ml_backend.application import Application
from ml_backend.config import load_settings
from ml_backend.logs import configure_logging
from ml_backend.web.prefix import TrustedPrefix


def make_app() -> Flask:
    """The started backend; it stops with the process."""
    settings = load_settings()
    configure_logging(settings)
    application = Application(settings)
    for line in application.warnings():
        logging.getLogger(__name__).warning(line)
    application.start()
    atexit.register(application.stop)
    application.web.wsgi_app = TrustedPrefix(application.web.wsgi_app, settings.trusted_proxy)  # type: ignore[method-assign]
    return application.web


app = make_app()
