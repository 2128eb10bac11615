"""Start and stop servers from Python: a stock Label Studio from the installed package, or any other command.

Everything listens on 127.0.0.1 only. Secrets go through the environment, where other users of the machine cannot see
them, never through the command line, where they can.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests

from ml_backend.errors import ActiveLearningError

LOCALHOST: Final = "127.0.0.1"
PORTS: Final = range(10_240, 32_768)
TRIES: Final = 100
_CLAIMS: Final = contextlib.ExitStack()
"""UDP sockets of the ports that were given away, open as long as the process lives.

UDP has ports of its own: a claim keeps no server from listening, and another process sees it before the server does.
"""
atexit.register(_CLAIMS.close)
START_TIMEOUT: Final = 300.0
"""A first start creates the database, which takes minutes on a busy machine."""
STOP_TIMEOUT: Final = 15.0
POLL_INTERVAL: Final = 0.2
LOG_TAIL: Final = 15
INHERITED: Final = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""All that a Label Studio takes over from our environment: it reads HOST, PORT, DEBUG, DATABASE_NAME, proxies, …"""

OFFLINE: Final = {
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
}
"""Without these, Label Studio asks the package index for updates and reports usage and errors to its makers."""
LOCAL_BACKENDS: Final = {"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false", "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false"}
"""Both are needed for a backend on this machine; with one alone, its webhook is silently missing."""

LIGHT_IMPORTS: Final = {"fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short": "true"}
"""Makes Label Studio recount the tasks that an import of predictions is about, instead of all of the project.

Recounting all keeps others from its SQLite file, the longer the larger the project. In return Label Studio no longer
holds predictions against the labeling config.
"""


class ServerFailed(ActiveLearningError):
    """A server did not start, or died while we waited for it."""


def free_port(among: Sequence[int] = PORTS) -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now, and that nobody else gets from here while we live.

    Those of `PORTS` lie below what the system gives to outgoing connections, so that none of them takes it before, or
    while, a server starts anew.
    """
    for port in random.SystemRandom().sample(among, min(TRIES, len(among))):
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            claim = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            claim.bind((LOCALHOST, port))
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
                listener.bind((LOCALHOST, port))
            _CLAIMS.push(opened.pop_all())
            return port
    raise ServerFailed(f"{TRIES} ports from {min(among)} to {max(among)} are all taken; stop what listens there.")


def port_is_taken(port: int) -> bool:
    """Whether something answers on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOCALHOST, port)) == 0


class ServerProcess:
    """A server in a process group of its own, its output in a log file.

    Use it as a context manager, or call `stop`; stopping twice does no harm.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        kill_group: Callable[[int, int], None] = os.killpg,
    ) -> None:
        self.name = name
        self._kill_group = kill_group
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - the caller's own command, no shell
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"ServerProcess({self.name!r}, pid={self.pid}, running={self.running})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id; also the id of its process group."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._popen.poll() is None

    def log_tail(self, lines: int = LOG_TAIL) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_healthy(self, url: str, timeout: float = START_TIMEOUT, *, verify: bool | str = True) -> float:
        """Wait until ``url`` answers 200; the seconds that took. ``verify`` as in requests.

        Raises:
            ServerFailed: the process ended, or time ran out. The message carries the end of its log.
        """
        started = time.monotonic()
        with requests.Session() as session:
            session.trust_env = False  # a proxy cannot reach our 127.0.0.1
            while time.monotonic() - started < timeout:
                if not self.running:
                    raise ServerFailed(self._story(f"ended with exit code {self._popen.returncode} while starting"))
                with contextlib.suppress(requests.RequestException):
                    if session.get(url, timeout=5, allow_redirects=False, verify=verify).status_code == 200:
                        return time.monotonic() - started
                time.sleep(POLL_INTERVAL)
        raise ServerFailed(self._story(f"did not answer at {url} within {timeout:.0f} s"))

    def _story(self, what: str) -> str:
        return f"{self.name} {what}. Its log, {self.log}, ends:\n{self.log_tail() or '(empty)'}"

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Ask the process to end, wait, and kill what is left of its own group."""
        if self._popen.returncode is not None:
            return  # known to have ended: its id may belong to somebody else by now
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)
        self._signal(signal.SIGKILL)
        self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone
            self._kill_group(self.pid, number)


@dataclass(frozen=True)
class LabelStudioServer:
    """A running Label Studio and the account it was started with."""

    process: ServerProcess
    url: str
    username: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    seconds_to_start: float

    def stop(self) -> None:
        """Stop it; its data stays in its folder."""
        self.process.stop()


def label_studio_command(port: int, python: Path | None = None) -> list[str]:
    """The command that starts the Label Studio of a Python, by default our own, on 127.0.0.1, without a browser."""
    options = ["--no-browser", "--internal-host", LOCALHOST, "--port", str(port)]
    return [str(python or sys.executable), "-m", "label_studio.server", "start", *options]


def label_studio_environment(
    data_dir: Path, url: str, username: str, password: str, token: str, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a Label Studio that keeps all its data in ``data_dir`` and speaks to nobody else.

    Account, password, token and the permission of legacy tokens take effect on the first start only.
    """
    own = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data_dir),
        "LABEL_STUDIO_DATABASE_NAME": str(data_dir / "label_studio.sqlite3"),
        "LABEL_STUDIO_DJANGO_DB": "sqlite",
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_USERNAME": username,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "PYTHONUNBUFFERED": "1",
    }
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | OFFLINE | LOCAL_BACKENDS | own | dict(extra or {})


def start_label_studio(
    data_dir: Path,
    *,
    port: int | None = None,
    username: str = "demo@example.org",
    password: str | None = None,
    token: str | None = None,
    extra_env: Mapping[str, str] | None = None,
    timeout: float = START_TIMEOUT,
    python: Path | None = None,
) -> LabelStudioServer:
    """Start Label Studio with SQLite in ``data_dir`` and wait until it answers.

    It uses a Redis on port 6379 of this machine where one runs when it starts: its address is fixed in Label Studio's
    settings. Webhooks then wait in that Redis for Label Studio's own workers, which nothing here starts.

    Its log is ``data_dir/label_studio.log``. The web pages work under the returned URL only ("localhost" in place of
    "127.0.0.1" is another origin to the browser).

    Args:
        data_dir: made if missing; a folder used before keeps its accounts and projects.
        port: default: a free one.
        username: e-mail address of the first account.
        password: default: a new random one.
        token: legacy API token of the account, at most 40 characters; default: a new random one.
        extra_env: more environment variables, stronger than ours.
        timeout: seconds to wait.
        python: whose Label Studio it is; default: that of our own environment.

    Raises:
        ServerFailed: the port is taken, or Label Studio did not start.
    """
    port = free_port() if port is None else port
    if port_is_taken(port):
        raise ServerFailed(f"Port {port} is taken. Stop what listens there, or choose another port.")
    password, token = password or secrets.token_urlsafe(12), token or secrets.token_hex(20)
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # the database holds tokens
    url = f"http://{LOCALHOST}:{port}"
    env = label_studio_environment(data_dir, url, username, password, token, extra_env)
    log = data_dir / "label_studio.log"
    process = ServerProcess("Label Studio", label_studio_command(port, python), log=log, env=env, cwd=data_dir)
    try:
        seconds = process.wait_healthy(f"{url}/health", timeout)
    except BaseException:
        process.stop()
        raise
    return LabelStudioServer(process, url, username, password, token, seconds)
