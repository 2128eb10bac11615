"""The round under way, in one small document of the store: what a page shows while people wait.

``progress.json`` holds ``round``, ``trigger``, ``started``, ``step``, ``done`` of ``total`` units of it, the finished
``steps`` (name, seconds) and ``updated``.
It is there from a round's first step to its end, whoever runs the round; a process that is killed leaves it behind, so
readers look at ``updated`` as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from ml_backend.errors import StoreError
from ml_backend.rounds.report import Observer, StepTime
from ml_backend.store.documents import PROGRESS
from ml_backend.store.project_store import ProjectStore

EVERY: Final = 0.5
"""Seconds between two writes at least; a new step is told at once."""


class LiveProgress:
    """An observer that keeps the document and passes everything on.

    Args:
        observer: the next one.
        store: finds the project's store; None where there is none yet.
        facts: what is told about the round besides its steps.
        clock: monotonic seconds.
        now: the time of day.
    """

    def __init__(
        self,
        observer: Observer,
        store: Callable[[], ProjectStore | None],
        facts: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.done: list[StepTime] = []
        """Finished steps: a round that fails has no report."""
        self.has_begun = False
        """Whether any step has started: by then the round holds the project's lock."""
        self._observer = observer
        self._find = store
        self._store: ProjectStore | None = None
        self._facts = dict(facts)
        self._clock, self._now = clock, now
        self._written = -EVERY

    def step_started(self, name: str) -> None:
        """Tell the step at once."""
        self.has_begun = True
        self._observer.step_started(name)
        self._write(name, 0, 0)

    def progress(self, name: str, done: int, total: int) -> None:
        """Tell it, but not too often."""
        self._observer.progress(name, done, total)
        if self._clock() - self._written >= EVERY:
            self._write(name, done, total)

    def step_finished(self, step: StepTime) -> None:
        """Keep it; the next step tells it."""
        self.done.append(step)
        self._observer.step_finished(step)

    def end(self) -> None:
        """Take the document away; not that of another round, which this one waited for in vain."""
        if self._store is not None:
            clear(self._store)

    def _write(self, name: str, done: int, total: int) -> None:
        self._written = self._clock()
        self._store = self._store or self._find()
        if self._store is None:
            return
        steps = [{"name": step.name, "seconds": round(step.seconds, 2)} for step in self.done]
        content = {**self._facts, "step": name, "done": done, "total": total, "steps": steps}
        with suppress(StoreError):  # a full disk must not fail the round here: it has better places to tell it
            self._store.write_document(PROGRESS, content | {"updated": self._now().isoformat()})


def read(store: ProjectStore) -> dict[str, Any]:
    """The round under way; empty where none tells of itself."""
    try:
        return store.document(PROGRESS)
    except StoreError:
        return {}


def clear(store: ProjectStore) -> None:
    """Take the document away, where it is."""
    with suppress(OSError):
        (store.folder / PROGRESS).unlink(missing_ok=True)
