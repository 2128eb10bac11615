"""What a round did: steps with their times, warnings, tasks left out. Server, commands and simulation all show it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml_backend.errors import ActiveLearningError
from ml_backend.evaluation.agreement import Agreement
from ml_backend.records import Project, Queue
from ml_backend.rounds.log import Seen

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepTime:
    """One finished step."""

    name: str
    seconds: float
    detail: str = ""


@dataclass
class Report:
    """One round, or one sync, of one project."""

    project: int
    title: str = ""
    steps: list[StepTime] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    """Warning → the entry of ``counted`` that it is about: once that count has changed, the warning no longer holds."""
    counted: dict[str, int] = field(default_factory=dict)
    """How many tasks of each kind the round read: `examples.TaskPool.counts`."""
    left_out: dict[int, str] = field(default_factory=dict)
    """Task id → why its content could not be used."""
    version: str | None = None
    """The model version that annotators get; None before a first one."""
    trained: bool = False
    """Whether a new version was trained and stored."""
    held_back: str | None = None
    """The version trained on the present labels, if it is not served."""
    learnt_from: str = ""
    """What the new version learnt from, the pool or the labels alone, and why."""
    encoder_choice: str = ""
    """Which model and encoder the project uses and why, if its settings leave that open."""
    choice: str = ""
    """What the strategy asks for now and why, if it decides that itself (``auto``)."""
    instant: str = ""
    """Whether answers change the order before the next round, and if not, why; empty if no order was made."""
    metrics: dict[str, Any] | None = None
    """Of ``version``."""
    measures: dict[str, Any] | None = None
    """What is known about the loop itself; see ``measures``."""
    labels: int = 0
    """How many answers a version is trained on."""
    label_counts: dict[str, int] = field(default_factory=dict)
    """How many of them have each label."""
    open_tasks: int = 0
    newest_answer: str = ""
    """Time of the newest answer that the round read, as Label Studio writes times; empty if there is none."""
    predictions: str | None = None
    """What other models had predicted when the round read it (`log.Seen`); None where they do not order the project."""
    beside: list[str] = field(default_factory=list)
    """What is known about each question beside the first, in words."""
    agreement: Agreement | None = None
    """How far people agree, if tasks have several answers."""
    doubted: list[int] | None = None
    """Tasks in the tab "Re-check", most doubtful first; None if the project has no such tab."""
    queue: Queue | None = None
    published: bool = False
    seen: Seen | None = None
    """The project as it was when the round began to read it; None if it did not get that far."""
    fed: Seen | None = None
    """What `log.look` saw after rows of a pool outside became tasks, which are then no news; None if none did."""
    replaced: list[str] = field(default_factory=list)
    """Our replaced orders that this round deleted; recent ones stay for people who have one of their tasks open."""

    @property
    def seconds(self) -> float:
        """Time of all steps."""
        return sum(step.seconds for step in self.steps)


class Observer(Protocol):
    """Watches a round as it runs: progress bars, logs."""

    def step_started(self, name: str) -> None:
        """A step begins."""

    def progress(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of the step are done; ``total`` is 0 if it is not known."""

    def step_finished(self, step: StepTime) -> None:
        """A step is done."""


class Silent:
    """An observer that shows nothing."""

    def step_started(self, name: str) -> None:
        """Ignore it."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def step_finished(self, step: StepTime) -> None:
        """Ignore it."""


class Step:
    """A running step."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self.detail = ""
        self._observer = observer

    def progress(self, done: int, total: int) -> None:
        """Pass progress on."""
        self._observer.progress(self.name, done, total)


class Recorder:
    """Times steps into a report."""

    def __init__(self, report: Report, observer: Observer | None = None) -> None:
        self.report = report
        self._observer = observer or Silent()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time one step; a step that raises is not recorded as done."""
        step = Step(name, self._observer)
        self._observer.step_started(name)
        start = time.perf_counter()
        yield step
        done = StepTime(name, time.perf_counter() - start, step.detail)
        self.report.steps.append(done)
        self._observer.step_finished(done)

    @contextmanager
    def sparing_the_round(self, what: str, warning: str) -> Iterator[None]:
        """Turn any error inside into a warning: for work after the new order stands, which must not undo it.

        Args:
            what: the work, for the log of what nobody foresaw, such as "drawing the map".
            warning: the beginning of the warning, such as "The map is not up to date". Where a reason that was foreseen
                is in a warning already, nothing is added.
        """
        try:
            yield
        except Exception as exc:
            foreseen = isinstance(exc, ActiveLearningError)
            if not foreseen:
                log.warning("project %s: %s failed", self.report.project, what, exc_info=exc)
            reason = str(exc) if foreseen else type(exc).__name__
            if not (foreseen and any(told.endswith(reason) for told in self.report.warnings)):
                self.warn(f"{warning}: {reason}")

    def warn(self, text: str, about: str | None = None) -> None:
        """Note something that people should know, once; ``about`` names the count that it is about."""
        if text not in self.report.warnings:
            self.report.warnings.append(text)
        if about:
            self.report.about[text] = about


def nothing_open(now: Project, *, has_pool: bool = False) -> str:
    """Why there is nothing to order, and what to do."""
    if not now.task_count and has_pool:
        return "The project has no tasks yet, and none came from its pool. The order is unchanged."
    if not now.task_count:
        return f"The project has no tasks yet: lsal import FILE --project {now.id}. The order is unchanged."
    return "No open tasks: everything is labelled, skipped or held out. Import more tasks; the order is unchanged."
