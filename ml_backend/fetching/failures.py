"""What could not be fetched a moment ago, so that nobody waits for it again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

MOST_KEPT: Final = 10_000
SILENCES: Final = 3
"""Fetches in a row without an answer after which a host is not asked any more."""


@dataclass
class FailureMemory:
    """Failed URLs, and hosts that do not answer. Safe to share between threads.

    Args:
        clock: seconds, from any start.
        seconds: for which a failure is kept.
    """

    clock: Callable[[], float]
    seconds: float = 600.0
    _failed: OrderedDict[str, tuple[float, str]] = field(default_factory=OrderedDict)
    """URL or host → until when, reason."""
    _silent: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """Host → fetches in a row without an answer."""
    _lock: Lock = field(default_factory=Lock)

    def known(self, url: str, host: str) -> str | None:
        """Why neither is asked now; None where it may be."""
        with self._lock:
            for name in (url, host):
                until, reason = self._failed.get(name, (0.0, ""))
                if (left := until - self.clock()) > 0:
                    return f"{reason}; asked again in {max(1, round(left / 60))} min at the earliest"
                self._failed.pop(name, None)
        return None

    def failed(self, url: str, host: str, reason: str, *, silent: bool) -> None:
        """Remember a failure; ``silent``: the host did not answer at all, or not in time."""
        with self._lock:
            self._keep(url, reason)
            if not silent:
                self._silent.pop(host, None)
                return
            self._silent[host] = self._silent.pop(host, 0) + 1
            if self._silent[host] >= SILENCES:
                self._keep(host, f"{host} did not answer {SILENCES} times in a row")
                del self._silent[host]
            while len(self._silent) > MOST_KEPT:
                self._silent.popitem(last=False)

    def answered(self, host: str) -> None:
        """A host gave what it was asked for."""
        with self._lock:
            self._silent.pop(host, None)

    def _keep(self, name: str, reason: str) -> None:
        self._failed.pop(name, None)
        self._failed[name] = (self.clock() + self.seconds, reason)
        while len(self._failed) > MOST_KEPT:
            self._failed.popitem(last=False)
