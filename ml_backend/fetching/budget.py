"""How long many fetches may take together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Lock


class Budget:
    """Seconds that many fetches may take together; only those count during which at least one is under way.

    Safe to share between threads.

    Args:
        seconds: how many.
        clock: seconds, from any start.
        what: whose they are, for the message.
    """

    def __init__(
        self, seconds: float = inf, *, clock: Callable[[], float] = time.monotonic, what: str = "one round"
    ) -> None:
        self.seconds, self._clock, self._what = seconds, clock, what
        self._spent = self._since = 0.0
        self._under_way, self._lock = 0, Lock()

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Within it, the time counts."""
        with self._lock:
            if not self._under_way:
                self._since = self._clock()
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._spent += self._clock() - self._since

    def left(self) -> float:
        """Seconds that are not spent yet, from 0."""
        with self._lock:
            running = self._clock() - self._since if self._under_way else 0.0
            return max(0.0, self.seconds - self._spent - running)

    def is_over(self) -> bool:
        """Whether nothing more may be fetched."""
        return self.left() <= 0

    def message(self, url: str) -> str:
        """What was left out, and what comes of it."""
        return (
            f"{url} was not fetched: the {self.seconds:g} s that {self._what} may spend on fetching are over; the next "
            "one goes on with it. MEDIA_SECONDS allows a round more"
        )
