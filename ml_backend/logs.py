"""Logs: the one place that configures them, and what every record made during a round carries.

A log is read by more people than Label Studio is. Whatever is written therefore shows no secret of the settings, and
of an error that is none of ours only where it happened and its type: its text may hold a task.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from types import TracebackType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pythonjsonlogger import jsonlogger

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError

HANDLER: Final = "active-learning"
TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CHATTY: Final = ("waitress", "rq")
"""Libraries whose INFO is worth reading. All others speak from WARNING on: at DEBUG they show requests and answers."""
HIDDEN: Final = "***"
RELAYED: Final = "relayed_exception"
"""Attribute of a record that came from another process: what its traceback says."""
SHORTEST_SECRET: Final = 4
"""Shorter ones would be found in ordinary words."""

UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that begin a new line, steer a terminal or turn a line around."""

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


@dataclass
class RoundFields:
    """What a record made during a round carries."""

    project: int
    round: str
    version: str | None = None
    """The model version that the round has come to, as far as it has."""


_ROUND: ContextVar[RoundFields | None] = ContextVar("round", default=None)


@contextmanager
def in_round(project: int, round_id: str) -> Iterator[None]:
    """All records made inside carry these fields, in this thread."""
    token = _ROUND.set(RoundFields(project, round_id))
    try:
        yield
    finally:
        _ROUND.reset(token)


def note_version(version: str | None) -> None:
    """From now on the round's records carry this model version; outside a round nothing happens."""
    fields = _ROUND.get()
    if fields is not None:
        fields.version = version


def configure_logging(settings: Settings) -> None:
    """Write logs to standard error, as LOG_LEVEL and LOG_FORMAT say. Each process calls it once, at its edge."""
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(HANDLER)
    handler.addFilter(_add_round)
    secrets = _secrets(settings)
    handler.setFormatter(JsonLines(secrets) if settings.log_format == "json" else TextLines(secrets))
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    logging.getLogger("ml_backend").setLevel(settings.log_level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(library_level(settings))
    # "Task queue depth is 1" is a page that asks for two things at once, or a thread that is about to wait.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def relay(line: Any) -> logging.Handler:
    """A handler that hands records to another process's handlers, with all that they carry here.

    ``line`` takes them by ``put_nowait``. Errors are put into words on this side: they cannot be sent as they are.
    """
    handler = _Relay(line)
    handler.addFilter(_add_round)
    return handler


class _Relay(QueueHandler):
    """Sends records whose texts are finished; what a traceback says goes along by itself."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as it is sent."""
        sent = copy.copy(record)
        sent.msg, sent.args = record.getMessage(), None
        vars(sent)[RELAYED] = _Discreet().formatException(record.exc_info) if record.exc_info else None
        sent.exc_info = sent.exc_text = sent.stack_info = None
        return sent


def visible(text: str) -> str:
    """A text as one line of what can be seen: whoever chose it forges no line and steers no terminal."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def library_level(settings: Settings) -> str:
    """The level of libraries that may speak: INFO even where our own is DEBUG."""
    return "INFO" if settings.log_level == "DEBUG" else settings.log_level


class _Discreet(logging.Formatter):
    """Hides secrets, and the texts of errors that are none of ours; shows control characters as what they are."""

    appends_relayed = True
    """Whether another process's traceback stands below the line."""

    def __init__(self, secrets: tuple[str, ...] = (), template: str = TEXT) -> None:
        super().__init__(template)
        self._secrets = secrets

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - logging's name
        """The whole chain, oldest first: where each error was raised, and its type."""
        found = []
        exc: BaseException | None = ei[1]
        while exc is not None and exc not in found:
            found.append(exc)
            exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        return "\n".join(map(_told, reversed(found)))

    def format(self, record: logging.LogRecord) -> str:
        """One record, without secrets."""
        record.exc_text = None  # another handler's: it holds the texts
        text = super().format(record)
        record.exc_text = None
        if self.appends_relayed and (relayed := vars(record).get(RELAYED)):
            text = f"{text}\n{relayed}"
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a traceback."""
        return visible(super().formatMessage(record))


class TextLines(_Discreet):
    """A line for people; the round's fields at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a traceback."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return super().formatMessage(record) + (f" [{visible(fields)}]" if fields else "")


class JsonLines(_Discreet, jsonlogger.JsonFormatter):  # type: ignore[misc]
    """A JSON object a line; the round's fields among the others."""

    appends_relayed = False  # it is a field

    def add_fields(
        self, log_record: dict[str, Any], record: logging.LogRecord, message_dict: Mapping[str, Any]
    ) -> None:
        """Only these: what libraries add to their records may be anything."""
        log_record["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_record |= {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        log_record |= _fields(record)
        if told := message_dict.get("exc_info") or vars(record).get(RELAYED):
            log_record["exception"] = told


def _add_round(record: logging.LogRecord) -> bool:
    fields = _ROUND.get()
    if fields is not None:
        vars(record).update(asdict(fields))
    return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: vars(record)[name] for name in RoundFields.__dataclass_fields__ if name in vars(record)}


def _told(exc: BaseException) -> str:
    name = type(exc).__name__
    told = f"{name}: {visible(str(exc))}" if isinstance(exc, ActiveLearningError) else name
    return "Traceback (most recent call last):\n" + "".join(traceback.format_tb(exc.__traceback__)) + told


def _secrets(settings: Settings) -> tuple[str, ...]:
    """Everything that no line may show, as text and as it stands in JSON; the longest first."""
    found: set[str] = set()
    for _, field in settings:
        value = field.get_secret_value() if isinstance(field, SecretStr) else ""
        if "://" not in value:
            found.add(value)
        elif password := urlsplit(value).password:  # a URL without one may be read by anybody
            found |= {value, password, unquote(password)}
    found |= {json.dumps(value)[1:-1] for value in found}
    return tuple(sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True))
