"""A round that another process runs, followed as if this one ran it: its document in the store, told to an observer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from ml_backend.rounds.progress import read
from ml_backend.rounds.report import Observer, Silent, StepTime
from ml_backend.store.project_store import ProjectStore

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at the document."""
UNTOLD: Final = 2.0
"""Seconds to wait for somebody who does not tell what is under way."""
STALE: Final = 10.0
"""Seconds without news after which it is time to see whether the project is still busy."""
DEAD_AFTER: Final = timedelta(minutes=2)
"""A document as old as that was left behind by a process that was killed."""


@dataclass(frozen=True)
class UnderWay:
    """What the document tells of the round under way."""

    round: str
    trigger: str
    started: datetime
    step: str
    done: int
    total: int
    steps: tuple[StepTime, ...]
    """The finished ones."""
    updated: datetime

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self | None:
        """The document, understood; None where there is none, or one of another release."""
        try:
            steps = tuple(StepTime(str(step["name"]), float(step["seconds"])) for step in content["steps"])
            started, updated = (
                datetime.fromisoformat(content[name]).astimezone(UTC) for name in ("started", "updated")
            )
            about, step = (str(content["round"]), str(content["trigger"])), str(content["step"])
            return cls(*about, started, step, int(content["done"]), int(content["total"]), steps, updated)
        except (KeyError, TypeError, ValueError):
            return None


class Follower:
    """Passes the steps of a round on to an observer, each once, however often it looks.

    Args:
        announce: told of each round that is met.
    """

    def __init__(self, announce: Callable[[UnderWay], None]) -> None:
        self._announce = announce
        self._observer: Observer = Silent()
        self._round = ""
        self._finished = 0
        self._step = ""

    def show_to(self, observer: Observer) -> None:
        """Tell this observer from now on, first of the step under way."""
        self._observer, self._step = observer, ""

    def look(self, now: UnderWay) -> None:
        """Tell what is new since the last look."""
        if now.round != self._round:
            self._round, self._finished, self._step = now.round, 0, ""
            self._announce(now)
        for step in now.steps[self._finished :]:
            self._start(step.name)
            self._observer.step_finished(step)
            self._finished, self._step = self._finished + 1, ""
        self._start(now.step)
        self._observer.progress(now.step, now.done, now.total)

    def _start(self, name: str) -> None:
        if name != self._step:
            self._step = name
            self._observer.step_started(name)


def follow(
    store: ProjectStore | None,
    follower: Follower,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Follow the round under way until it is gone, or has told nothing for a while.

    Whoever works on the project without telling (a proof of the order, another machine) is given a moment.

    Args:
        store: the project's; None where none is here yet.
        follower: tells an observer.
        clock: monotonic seconds.
        sleep: waits for so many seconds.
        now: the time of day.
    """
    last: UnderWay | None = None
    news = clock()
    while True:
        found = UnderWay.of(read(store)) if store is not None else None
        if found is None or now() - found.updated > DEAD_AFTER:
            if last is None:
                sleep(UNTOLD)
            return
        if found != last:
            last, news = found, clock()
            follower.look(found)
        elif clock() - news >= STALE:
            return
        sleep(LOOK_EVERY)
