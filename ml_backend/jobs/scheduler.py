"""Starts rounds by itself: a thread that hears of changes, polls for unreported ones, and asks for rounds.

A webhook only makes a project a candidate: before a round is asked for, two cheap reads of Label Studio must show that
something changed since the last round. So events that repeat, that a round has already taken in, or that somebody made
up start nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError, LabelStudioNotFound, LabelStudioUnreachable
from ml_backend.jobs.job import Job, Rounds
from ml_backend.jobs.polling import PollTimes
from ml_backend.jobs.status import project_status
from ml_backend.jobs.trigger import NextRound, Rule, Trigger
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import make_client
from ml_backend.rounds.log import Seen, last_seen
from ml_backend.rounds.predicted.wanted import look_at
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.registry import stores_of

log = logging.getLogger(__name__)
TICK = 0.25
"""Seconds between two checks of what is due."""


class Scheduler:
    """Asks ``rounds`` for the rounds that are due. ``start`` starts its thread, ``stop`` ends it.

    ``news`` is called with each project that changed, also from the threads of requests: it must return at once.
    """

    def __init__(
        self,
        settings: Settings,
        rounds: Rounds,
        *,
        client: Callable[[], LabelStudioClient] | None = None,
        clock: Callable[[], float] = time.monotonic,
        tick_seconds: float = TICK,
        news: Callable[[int], None] = lambda project_id: None,  # noqa: ARG005
    ) -> None:
        self._defaults = settings.project_defaults()
        self._rounds = rounds
        self._client = client or (lambda: make_client(settings))
        self._news = news
        self._tick_seconds = tick_seconds
        self._stores = stores_of(settings)
        self._trigger = Trigger(clock)
        self._lock = Lock()
        """Guards the trigger; never held during a call to Label Studio, the store or the rounds."""
        self._polls = PollTimes(clock, settings.poll_seconds)
        self._left_alone: dict[int, Seen] = {}
        """Projects whose round somebody cancelled, as they were then: no round starts by itself until they change."""
        self._gone: set[str] = set()
        """Stores of deleted projects, by uid, because Label Studio may use the id again."""
        self._stop = Event()
        self._thread: Thread | None = None

    # --- news: called by requests, which must not wait ----------------------------------------------------------------

    def changed(self, project_id: int, labels: int = 0) -> None:
        """Hear that the project changed, by this many labels."""
        with self._lock:
            self._trigger.changed(project_id, labels)
        self._news(project_id)

    def counted(self, project_id: int, labels: int) -> None:
        """Correct the number of labels that wait: some were reported twice, or have been taken back."""
        with self._lock:
            self._trigger.counted(project_id, labels)

    def ask(self, request: RoundRequest) -> Job:
        """Ask for a round by hand. One that trains takes up the waiting changes, and is tried again if it fails.

        It is tried again as an ordinary round: whoever wanted to pin a version sees the failure and can choose anew.

        Raises:
            ConfigurationError: there is nobody to ask.
        """
        if not request.train:  # the labels wait for a round that does
            return self._rounds.request(request)
        with self._lock:
            self._left_alone.pop(request.project_id, None)
            self._trigger.started(request.project_id, by_hand=True)
        try:
            return self._request(request)
        except Exception as exc:
            with self._lock:
                self._trigger.failed(request.project_id, str(exc))
            raise

    def outlook(self, project_id: int) -> NextRound:
        """What comes next for one project."""
        with self._lock:
            return self._trigger.outlook(project_id)

    def status(self) -> dict[str, Any]:
        """All known projects, and how polling goes, for ``/status``. Label Studio is not asked."""
        projects = {
            str(i): project_status(i, store, self.outlook(i), self._rounds, is_deleted=store.uid in self._gone)
            for i, store in self._stores.known().items()
        }
        return {
            "projects": projects,
            "polling": {"every_seconds": self._polls.every, "error": self._polls.error},
        }

    # --- the thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        with self._lock:
            for project_id in self._stores.known():
                self._trigger.know(project_id)
        self._stop.clear()
        self._thread = Thread(target=self._work, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End the thread; a round that is running goes on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    def _work(self) -> None:
        told = ""
        while not self._stop.wait(self._tick_seconds):
            try:
                self.tick()
                told = ""
            except Exception as exc:  # whatever fails here, labels must go on starting rounds
                problem = f"{type(exc).__name__}: {exc}"
                if problem != told:  # once, not four times a second
                    log.error("starting rounds fails; it is tried again", exc_info=exc)
                told = problem

    def tick(self) -> None:
        """Do everything that is due now."""
        self._collect()
        self._poll()
        self._hand_over()

    def _collect(self) -> None:
        """Find out how the rounds under way ended."""
        with self._lock:
            running = self._trigger.running()
        for project_id, job_id in running.items():
            if not job_id:
                continue
            job = self._rounds.job(job_id)
            if job is not None and job.status in ("queued", "started"):
                continue
            if job is not None and job.is_cancelled:
                self._leave_alone(project_id)
            with self._lock:
                if self._trigger.running().get(project_id) != job_id:
                    continue  # asked for again meanwhile: that round counts
                if job is not None and (job.status == "finished" or job.is_cancelled):
                    self._trigger.done(project_id)
                elif job is not None and job.is_refused:
                    self._trigger.refused(project_id)
                else:
                    self._trigger.failed(project_id, (job and job.error) or "The round was lost.")
            self._news(
                project_id
            )  # its labels are counted anew: the round took up some of those that came while it ran

    def _leave_alone(self, project_id: int) -> None:
        """Start no round by itself for the present state: somebody cancelled the round that would have taken it up."""
        try:
            store = self._stores.open(project_id)
            self._left_alone[project_id] = look_at(self._client(), project_id, store, self._defaults)
        except ActiveLearningError as exc:
            log.warning("project %s: its cancelled round may start again by itself: %s", project_id, exc)

    def _poll(self) -> None:
        """Poll all known projects, if it is time."""
        if not self._polls.is_due:
            return
        problem: ActiveLearningError | None = None
        for project_id, store in self._stores.known().items():
            if store.uid in self._gone or self._stop.is_set():
                continue
            try:
                self._poll_project(project_id, store)
            except ActiveLearningError as exc:
                problem = exc
                if isinstance(exc, LabelStudioUnreachable):
                    break  # the others would wait for the same time-out
        self._polls.done(problem)

    def _poll_project(self, project_id: int, store: ProjectStore) -> None:
        with self._lock:
            busy = project_id in self._trigger.running()
        if busy:
            return
        before = last_seen(store)
        try:
            found = look_at(self._client(), project_id, store, self._defaults)
        except LabelStudioNotFound:
            self._forget(project_id)
            return
        if found not in (before, self._left_alone.get(project_id)):
            with self._lock:
                if project_id not in self._trigger.running():
                    self._trigger.found(project_id, _new_labels(before, found))
            self._news(project_id)

    def _hand_over(self) -> None:
        """Ask for the rounds that are due."""
        with self._lock:
            waiting = self._trigger.waiting()
        rules = {project_id: self._rule(project_id) for project_id in waiting}
        with self._lock:
            for project_id, rule in rules.items():
                self._trigger.set_rule(project_id, rule)
            due = self._trigger.due()
        for project_id in due:
            if self._stop.is_set():
                return
            try:
                self._ask(project_id)
            except LabelStudioNotFound:
                self._forget(project_id)
            except Exception as exc:  # whatever it is, the project must not stay "being asked for"
                with self._lock:
                    self._trigger.failed(project_id, str(exc))
                    first = self._trigger.outlook(project_id).failures == 1
                if first:
                    log.warning("project %s: no round can start; it is tried again: %s", project_id, exc)

    def _ask(self, project_id: int) -> None:
        """Ask for one round, if Label Studio confirms that something changed."""
        if self._rounds.running(project_id):  # perhaps on another server: whatever it leaves is found afterwards
            return
        with self._lock:  # before the reads: changes from now on belong to the next round
            reason = "labels" if self._trigger.outlook(project_id).labels_to_go == 0 else "time"
            self._trigger.started(project_id)
        store = self._stores.open(project_id)
        found = look_at(self._client(), project_id, store, self._defaults)
        with self._lock:
            outlook = self._trigger.outlook(project_id)
            if outlook.job:
                return  # asked for by hand meanwhile
            known = (last_seen(store) if store is not None else Seen(), self._left_alone.get(project_id))
            if found in known and not outlook.by_hand:
                self._trigger.done(project_id)
                return
        self._request(RoundRequest(project_id, reason))

    def _request(self, request: RoundRequest) -> Job:
        job = self._rounds.request(request)
        with self._lock:
            self._trigger.named(request.project_id, job.id)
        return job

    def _rule(self, project_id: int) -> Rule:
        try:
            store = self._stores.open(project_id)
            params = store.extra_params() if store is not None else None
            settings = self._defaults.override(params, where=f"Project {project_id}")
        except ActiveLearningError:
            settings = self._defaults  # the round will say what is wrong
        return Rule(settings.train_after_labels, settings.train_after_seconds)

    def _forget(self, project_id: int) -> None:
        store = self._stores.open(project_id)
        if store is not None and store.uid not in self._gone:  # else nothing is kept: anybody can make up a number
            log.warning("project %s is deleted or not shown to the token's account: no longer looked at", project_id)
            self._gone.add(store.uid)
        with self._lock:
            self._trigger.forget(project_id)


def _new_labels(before: Seen, found: Seen) -> int:
    """Labels written or deleted, as far as counts tell; a mere edit counts as one."""
    difference = abs(found.annotations - before.annotations)
    return difference or int(found.newest != before.newest and found.tasks == before.tasks)
