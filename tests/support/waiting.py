"""Waiting for what must happen. How long it takes is the machine's affair: only what never happens is a fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

PATIENCE: Final = 180.0


def until(
    condition: Callable[[], Any], what: str = "it happened", *, patience: float = PATIENCE, pause: float = 0.1
) -> Any:
    """Wait until a condition holds; what it found. It is asked often at first, later each ``pause`` seconds.

    Raises:
        AssertionError: it did not hold within so many seconds of ``patience``; the message names ``what``.
    """
    end, rest = time.monotonic() + patience, min(pause, 0.005)
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what}"
        time.sleep(rest)
        rest = min(2 * rest, pause)
    return found
