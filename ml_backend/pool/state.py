"""How far an embedding has come: a small file for people who look. Nothing is decided by it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from ml_backend.files import atomic

FILE: Final = "embedding.json"


@dataclass(frozen=True)
class State:
    """One embedding, under way or done."""

    encoder: str
    """The folder of its vectors."""
    done: int
    rows: int
    """That it is to embed, those of earlier ones aside."""
    bad: int
    rows_per_second: float
    seconds_left: float | None
    """None where it cannot be told yet."""
    at: str
    """When this was written."""
    finished: bool

    @classmethod
    def of(cls, encoder: str, done: int, rows: int, bad: int, seconds: float, finished: bool) -> Self:
        """What is to be told ``seconds`` after the beginning."""
        speed = done / seconds if seconds > 0 else 0.0
        left = (rows - done) / speed if speed else None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(encoder, done, rows, bad, round(speed, 1), left and round(left, 1), now, finished)


def tell(folder: Path, state: State) -> None:
    """Write it beside the folder of the vectors; a disk that is full says so where it matters."""
    with suppress(OSError):
        atomic.write_json(folder.parent / FILE, asdict(state))


def state_in(folder: Path) -> State | None:
    """How far the last embedding came, in a store's folder of pools; None where there was none, or it is damaged."""
    try:
        return State(**json.loads((folder / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
