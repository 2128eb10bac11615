"""Limits guesses at the password: after some wrong ones an address has to wait, and the log says so."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock
from typing import Final

log = logging.getLogger(__name__)
MOST_WRONG: Final = 10
"""Wrong passwords from one address within the span; people mistype less often."""
SPAN: Final = 60.0
"""Seconds during which wrong passwords are counted, and for which the address then has to wait."""
MOST_ADDRESSES: Final = 10_000
"""Addresses that are remembered; the oldest are dropped."""


class Guesses:
    """Counts wrong passwords by address. Safe to share between threads.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def wait(self, address: str) -> float:
        """Seconds until another password from this address is checked; 0 if it is checked at once."""
        with self._lock:
            times = self._recent(network(address))
            return times[-1] + SPAN - self._clock() if len(times) >= MOST_WRONG else 0.0

    def wrong(self, address: str) -> None:
        """Note that this address sent a wrong password."""
        key = network(address)
        with self._lock:
            times = self._wrong[key] = self._recent(key)
            times.append(self._clock())
            self._wrong.move_to_end(key)
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)
            count = len(times)
        if count in (1, MOST_WRONG):  # not every time, so that the log does not fill up either
            held = f"; it has to wait {SPAN:.0f} s" if count == MOST_WRONG else ""
            log.warning("%d wrong password%s from %s%s", count, "" if count == 1 else "s", address, held)

    def _recent(self, key: str) -> deque[float]:
        times = self._wrong.get(key) or deque(maxlen=MOST_WRONG)
        while times and times[0] <= self._clock() - SPAN:
            times.popleft()
        return times


def network(address: str) -> str:
    """Whom an address stands for: IPv4 for itself, IPv6 for its /64, since everybody has a whole one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
