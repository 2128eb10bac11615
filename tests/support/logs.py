"""The product's logging, configured for one test, and what one part of it said."""

import logging

import pytest

from ml_backend.config import Settings, load_settings
from ml_backend.logs import HANDLER, configure_logging


@pytest.fixture
def logs(monkeypatch, capsys):
    """Configure logging: ``logs(**settings)``; then ``logs.text()`` is what was written since."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ("", "ml_backend", "waitress", "waitress.queue", "rq")}

    def configure(**settings):
        configure_logging(load_settings(**settings))

    configure.text = lambda: capsys.readouterr().err
    yield configure
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    for handler in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(handler)


def said(caplog, part, level=logging.NOTSET):
    """What the logger ``part`` and those below it said, in order.

    All records of the process are no measure: the threads of libraries, and those of earlier tests, may say something
    at any moment ("Task queue depth is 1").
    """
    return [record.getMessage() for record in records_of(caplog, part, level)]


def records_of(caplog, part, level=logging.NOTSET):
    """The records behind ``said``."""
    return [each for each in caplog.records if f"{each.name}.".startswith(f"{part}.") and each.levelno >= level]
