"""What several benchmarks time and wait with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

PATIENCE: Final = 600.0


def load() -> str:
    """How busy the machine is: figures of a busy one say little."""
    return f"(load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)"


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile of the values."""
    return float(np.percentile(values, share))


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """Result of an action and its seconds."""
    started = time.perf_counter()
    result = action()
    return result, time.perf_counter() - started


def wait_for(condition: Callable[[], bool], interval: float) -> None:
    """Ask until it holds.

    Raises:
        TimeoutError: it did not in ten minutes.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Nothing came of it within {PATIENCE:.0f} s.")
        time.sleep(interval)
