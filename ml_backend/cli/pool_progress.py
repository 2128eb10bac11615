"""Shows how far a pass over many rows is: as a bar on a terminal, otherwise as a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ml_backend.cli.common import messages

EVERY: Final = 10.0
"""Seconds between two lines if there is no terminal."""


class Speed:
    """Shows rows, rows per second, and the time left. Called with rows done, and rows in all.

    Args:
        what: the beginning of each line.
        clock: monotonic seconds.
    """

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        self._what, self._clock = what, clock
        self._bar = Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
        self._task = self._bar.add_task(what, total=None, speed="")
        self._started = self._told = clock()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Print it."""
        now = self._clock()
        speed = done / max(now - self._started, 1e-6)
        self._bar.update(self._task, completed=done, total=total, speed=f"{speed:,.0f} rows/s")
        if not messages.is_terminal and now - self._told >= EVERY:
            self._told = now
            left = (total - done) / speed if speed else 0.0
            messages.print(
                f"{self._what}: {done:,} of {total:,} rows, {speed:,.0f} rows/s, {left:,.0f} s left", highlight=False
            )
