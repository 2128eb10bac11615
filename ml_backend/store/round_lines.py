"""The log of rounds as lines of JSON: appended on one machine, merged from several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from filelock import FileLock

from ml_backend.files import FILE_MODE, atomic

KEPT_ROUNDS: Final = 1000
PATIENCE: Final = 30.0
"""Seconds to wait for another writer of a log."""


def read_lines(path: Path) -> list[str]:
    """All lines, oldest first; empty if there is no log."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def append_line(path: Path, line: str, *, keep: int = KEPT_ROUNDS) -> None:
    """Append a line and drop the oldest beyond ``keep``.

    Raises:
        OSError: it cannot be written, or another writer takes too long.
    """
    with FileLock(f"{path}.lock", timeout=PATIENCE, mode=FILE_MODE):
        atomic.write_text(path, "".join(f"{row}\n" for row in [*read_lines(path), line][-keep:]))


def merge_rounds(path: Path, theirs: str) -> None:
    """Merge another machine's rounds into the log, by time. A line that both have is kept once."""
    with FileLock(f"{path}.lock", timeout=PATIENCE, mode=FILE_MODE):
        lines = dict.fromkeys([*theirs.splitlines(), *read_lines(path)])
        started = {line: _started(line) for line in lines}
        kept = sorted((line for line in lines if started[line] is not None), key=lambda line: started[line] or "")
        atomic.write_bytes(path, "".join(f"{line}\n" for line in kept[-KEPT_ROUNDS:]).encode())


def _started(line: str) -> str | None:
    """When a logged round began; None if the line is incomplete."""
    try:
        return str(json.loads(line).get("started", ""))
    except (ValueError, AttributeError):
        return None
