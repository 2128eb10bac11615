"""How many fetches there are at once, in all and to one host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX, Condition


class Gate:
    """Lets a bounded number in; slow hosts leave room for others. Safe to share between threads.

    Args:
        at_once: how many in all.
        at_once_per_host: how many for one host.
    """

    def __init__(self, at_once: int, at_once_per_host: int) -> None:
        self._most, self._most_per_host = at_once, at_once_per_host
        self._inside, self._changed = Counter[str](), Condition()

    @contextmanager
    def enter(self, host: str, seconds: float) -> Iterator[bool]:
        """Wait for a place and hold it; yields False, without a place, where none gets free in time.

        Args:
            host: to which.
            seconds: for which to wait.
        """
        with self._changed:
            entered = self._changed.wait_for(lambda: self._is_free(host), timeout=min(seconds, TIMEOUT_MAX))
            if entered:
                self._inside[host] += 1
        try:
            yield entered
        finally:
            if entered:
                with self._changed:
                    self._inside[host] -= 1
                    self._inside += Counter()  # drops those of nobody
                    self._changed.notify_all()

    def _is_free(self, host: str) -> bool:
        return self._inside.total() < self._most and self._inside[host] < self._most_per_host
