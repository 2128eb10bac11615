"""The demo's folder: ports and passwords that outlive a start, and one demo at a time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from filelock import FileLock, Timeout
from processes import free_port, port_is_taken

from ml_backend.errors import ActiveLearningError
from ml_backend.files import atomic


@dataclass(frozen=True)
class Secrets:
    """Ports and passwords of one demo, kept so that the next start resumes it."""

    label_studio_port: int
    backend_port: int
    password: str
    token: str
    backend_password: str


class CheckFailed(ActiveLearningError):
    """The served order is not the published one."""


def load_secrets(path: Path) -> Secrets:
    """Ports and passwords of the last start; new ones the first time. A port that is taken is replaced."""
    if path.exists():
        raw = json.loads(path.read_text(encoding="utf-8"))
        known = Secrets(**{field.name: raw[field.name] for field in fields(Secrets)})
    else:
        random = [secrets.token_urlsafe(12), secrets.token_hex(20), secrets.token_urlsafe(16)]
        known = Secrets(free_port(), free_port(), *random)
    if port_is_taken(known.label_studio_port):
        known = replace(known, label_studio_port=free_port())
    if port_is_taken(known.backend_port):
        known = replace(known, backend_port=free_port())
    atomic.write_text(path, json.dumps(asdict(known)))
    return known


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep a second demo away from the same data.

    Raises:
        CheckFailed: one is running.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as exc:
        raise CheckFailed(f"Another demo is running with the data in {folder}. Stop it with Ctrl-C there.") from exc
