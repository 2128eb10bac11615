"""A separate process for the rounds: a round that crashes, hangs or eats all memory does not take the server with it.

The server can answer while a model trains, because the two share no interpreter lock, and a process that dies is
replaced. The process is spawned. One forked from a process that has already imported torch would start seconds sooner,
but that process would take hundreds of megabytes as long as the server runs.

Log records of the process are handled by the server's own handlers. When the server ends, in whatever way, so does the
process: no round goes on without supervision.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Lock, Thread
from typing import Any, Final, Literal

from ml_backend.errors import RoundCancelled, RoundProcessDied
from ml_backend.jobs.job import CANCELLED
from ml_backend.logs import relay

log = logging.getLogger(__name__)
LONGEST_ROUND: Final = 3600.0
"""Seconds after which a round is broken off, unless a setting says otherwise."""
NICENESS: Final = 5
"""Rounds give way to the server and to Label Studio, because people wait for those."""
STOP_TIMEOUT: Final = 5.0
StartMethod = Literal["spawn", "forkserver"]
ADVICE: Final = "The old order stands; the round is tried again."
HINTS: Final[dict[int, str]] = {
    signal.SIGKILL: " Perhaps the machine ran out of memory.",
    signal.SIGBUS: " A file was cut off while it was read: write files of a pool under another name, then rename them.",
}
"""Signal → its likely cause."""
STOPPING: Final = "The server is stopping: the round was broken off, and the old order stands."


class RoundProcess:
    """Runs ``function`` in a process of its own, one call after the other.

    The process starts with ``start`` or the first ``run``, and is kept for the next call.

    Args:
        function: what to run. The function, its arguments and its result are pickled.
        limit: seconds that one call may take.
        method: how Python starts it; another than ``spawn`` where many are started one after the other.
    """

    def __init__(
        self, function: Callable[..., Any], *, limit: float = LONGEST_ROUND, method: StartMethod = "spawn"
    ) -> None:
        self._function = function
        self._limit = limit
        self._context: Any = multiprocessing.get_context(method)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._closed = False
        self._cancelled = False
        self._lock = Lock()
        """Held by the one thread that starts the process or waits for it."""

    @property
    def pid(self) -> int | None:
        """Id of the process; None if none was started."""
        process = self._process
        return process.pid if process is not None else None

    def start(self) -> None:
        """Start the process if none is running, so that the first call need not wait for its imports.

        Raises:
            RoundProcessDied: it cannot be started.
        """
        with self._lock:
            self._started()

    def run(self, *arguments: Any) -> Any:
        """Call the function in the process, and return its result.

        Raises:
            RoundCancelled: somebody cancelled the call.
            RoundProcessDied: the process ended before the call did, or the call took longer than the limit.
            Exception: whatever the function raises.
        """
        with self._lock:
            self._cancelled = False
            process, connection = self._started()
            try:
                connection.send(arguments)
                answer = _answer(process, connection, time.monotonic() + self._limit)
            except (
                EOFError,
                OSError,
                pickle.UnpicklingError,
            ) as exc:  # the process is gone, perhaps in the middle of a message
                self._end(process, connection)
                if self._cancelled and not self._closed:
                    raise RoundCancelled(CANCELLED) from exc
                raise RoundProcessDied(STOPPING if self._closed else _obituary(process)) from exc
            if answer is None:
                self._end(process, connection)
                raise RoundProcessDied(
                    f"The round took longer than {self._limit:,.0f} seconds and was broken off; ROUND_SECONDS is the "
                    f"limit. {ADVICE}"
                )
        returned, value = answer
        if returned:
            return value
        raise value

    def close(self) -> None:
        """End the process for good; a call under way raises RoundProcessDied."""
        self._closed = True
        process = self._process
        if process is None or process.pid is None:
            return
        # Only signals and the sentinel: the exit code belongs to the thread that waits in ``run``.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if wait([process.sentinel], 0):
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
            wait([process.sentinel], STOP_TIMEOUT)

    def cancel(self) -> None:
        """Break off the call under way, which raises RoundCancelled. Returns at once; further calls are possible."""
        self._cancelled = True
        process = self._process
        if process is not None and process.pid is not None and not wait([process.sentinel], 0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def rest(self) -> None:
        """End the process if no call is under way; the next call starts another."""
        if self._lock.acquire(blocking=False):
            try:
                if self._process is not None and self._connection is not None:
                    self._end(self._process, self._connection)
            finally:
                self._lock.release()

    def _started(self) -> tuple[BaseProcess, Connection]:
        if self._closed:
            raise RoundProcessDied(STOPPING)
        if self._process is not None and self._connection is not None:
            if self._process.is_alive():
                return self._process, self._connection
            log.warning("the idle trainer process ended; it is replaced")
            self._end(self._process, self._connection)
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._function, _log_levels())
        # A daemon, so that it ends with the server even if nobody closes it.
        process: BaseProcess = self._context.Process(target=_serve, args=arguments, name="trainer", daemon=True)
        try:
            process.start()
        except (OSError, EOFError) as exc:  # no memory, or no process more
            ours.close()
            raise RoundProcessDied(
                f"No trainer process can be started ({type(exc).__name__}: {exc}). {ADVICE}"
            ) from exc
        finally:
            theirs.close()  # while it is open here, its end would never be seen
        self._process, self._connection = process, ours
        log.info("trainer process %s started", process.pid)
        if self._closed:  # meanwhile
            self._end(process, ours)
            raise RoundProcessDied(STOPPING)
        return process, ours

    def _end(self, process: BaseProcess, connection: Connection) -> None:
        process.kill()
        process.join()
        connection.close()
        self._process = self._connection = None


def _answer(process: BaseProcess, connection: Connection, deadline: float) -> tuple[bool, Any] | None:
    """The answer of the process, whose log records are handled meanwhile; None if it takes too long."""
    while wait([connection, process.sentinel], max(0.0, deadline - time.monotonic())):
        kind, content = connection.recv()  # after the process has ended: what it left behind, then EOFError
        if kind == "answer":
            answer: tuple[bool, Any] = content
            return answer
        logger = logging.getLogger(content.name)
        if logger.isEnabledFor(content.levelno):
            logger.handle(content)
    return None


def _log_levels() -> dict[str, int]:
    """The levels that are set, by the name of the logger (empty for the root)."""
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    return {"": logging.root.level} | {logger.name: logger.level for logger in loggers if logger.level}


def _obituary(process: BaseProcess) -> str:
    code = process.exitcode or 0
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"The trainer process died ({how}).{HINTS.get(-code, '')} {ADVICE}"


# --- in the process ----------------------------------------------------------------------------------------------


class _Line:
    """The connection to the server: sends whole messages, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    def put_nowait(self, record: logging.LogRecord) -> None:
        self.send("log", record)

    def send(self, kind: str, content: Any) -> None:
        with self._lock:
            self._connection.send((kind, content))


def _serve(connection: Connection, function: Callable[..., Any], levels: Mapping[str, int]) -> None:
    """Answer calls until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the server ends this one
    Thread(target=_end_with_server, name="end-with-server", daemon=True).start()
    os.nice(NICENESS)
    line = _Line(connection)
    logging.getLogger().handlers = [relay(line)]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    while True:
        try:
            arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            returned = True, function(*arguments)
        except Exception as exc:
            returned = False, _portable(exc)
        try:
            line.send("answer", returned)
        except (pickle.PicklingError, AttributeError, TypeError) as exc:  # it cannot be pickled
            line.send("answer", (False, _portable(exc)))


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)  # at once, even during a round: nobody would hear how it ended


def _portable(exc: Exception) -> Exception:
    """The exception with its traceback as a note, or a substitute if it cannot be pickled."""
    text = "".join(traceback.format_exception(exc))
    try:
        sent: Exception = pickle.loads(pickle.dumps(exc))  # noqa: S301 - our own, of this moment
    except Exception:
        sent = RuntimeError(f"{type(exc).__name__}: {exc}")
    sent.add_note(f"In the trainer process:\n{text}")
    return sent
