"""Figures in the form in which people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

MISSING: Final = "-"
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS: Final = {
    "read": "reading tasks and labels",
    "read content": "reading texts and images",
    "encoder": "choosing how to look at the tasks",
    "embed": "looking at the open tasks",
    "fit": "training",
    "cross-validate": "checking that the model does not just guess",
    "judge": "judging on the evaluation tasks",
    "store": "storing the version",
    "score": "scoring the open tasks",
    "rank": "choosing the next tasks",
    "import": "publishing the order",
    "switch": "switching to the new order",
    "tidy": "tidying up",
    "map": "drawing the map",
    "measure": "measuring",
    "random arm": "training a model of random labels, to compare with",
    "search the pool": "looking at all rows of the pool",
    "read the pool": "reading what may be asked",
    "feed": "making tasks of the chosen rows",
    "take back": "taking back tasks that lost their place",
    "embed new rows": "embedding what the pool has more",
    "re-check": "looking for doubtful labels",
}
"""Step of a round → what it does."""


def percent(value: float | None, digits: int = 1) -> str:
    """A share of 1 as a percentage."""
    if value is not None and 0 < value < 10 ** -(digits + 2):
        return f"less than {10.0 ** -(digits + 2):.{digits}%}"
    return MISSING if value is None else f"{value:.{digits}%}"


def between(interval: Mapping[str, float] | None) -> str:
    """An interval of shares, ``low`` to ``high``; empty if there is none."""
    return f"{percent(interval['low'])} to {percent(interval['high'])}" if interval else ""


def change(now: float | None, before: float | None) -> str:
    """Difference of two shares in points, with its sign; empty if there is nothing to compare."""
    if now is None or before is None:
        return ""
    points = (now - before) * 100
    return "unchanged" if abs(points) < 0.05 else f"{points:+.1f} points"


def ago(then: str | datetime | None, now: datetime) -> str:
    """How long ago something was."""
    if not then:
        return MISSING
    moment = datetime.fromisoformat(then) if isinstance(then, str) else then
    return f"{duration((now - moment).total_seconds())} ago"


def duration(seconds: float) -> str:
    """A time span in its largest unit."""
    seconds = max(0.0, seconds)
    for size, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{int(seconds)} second{'' if int(seconds) == 1 else 's'}"


def size(number: int) -> str:
    """Bytes in a suitable unit."""
    return f"{number / 1e6:.1f} MB" if number >= 1e5 else f"{number / 1e3:.0f} kB"


def count(number: int, what: str) -> str:
    """``3 labels``, ``1 label``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def step(name: str) -> str:
    """What a round's step does."""
    return STEPS.get(name, name)
