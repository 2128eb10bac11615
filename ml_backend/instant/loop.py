"""Between two rounds: each answer changes what Label Studio serves next, in a thread beside those of the server.

A webhook reports an answer and returns at once, so whoever pressed Submit waits neither for the graph nor for anything
that is written to Label Studio. The next task has already been moved to its place while the one before it was being
looked at, on the guess that its label would be the expected one. If the guess was wrong, the next task is moved while
the page asks for it.

If anything fails here, the order stays as it is. If a round publishes meanwhile, it wins: its queue has another name,
and whatever is written under the old name is served to nobody.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Final

from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError
from ml_backend.instant.project import InstantProject, open_instant
from ml_backend.instant.queue import WORTH_IT
from ml_backend.instant.served_queue import Person
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import hasty_client
from ml_backend.store.documents import MOVES
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import read as read_overrides
from ml_backend.store.queue_reorderings import is_paused
from ml_backend.store.registry import stores_of

log = logging.getLogger(__name__)
LOOK_EVERY: Final = 2.0
"""Seconds without an answer after which the thread checks whether there is a new queue."""
TIMEOUT: Final = 3.0
"""Seconds to wait for Label Studio: after that the next task has long been served."""
REST: Final = 10.0
"""Seconds in which nothing is moved after a failure: a slow Label Studio has enough to do."""
PAUSE: Final = 0.5
"""Seconds to wait after an answer, while the page loads the next task: writing then would slow it down."""
MOST_WAITING: Final = 200
"""Answers that may wait to be taken in; further ones are left to the next round."""
MOST_PROJECTS: Final = 32
"""Projects whose graphs are kept in memory: those with the latest answers."""


@dataclass
class _Project:
    """What the thread knows of one project."""

    queue: str | None = None
    """The queue that was served at the last check, with or without a graph."""
    state: InstantProject | None = None
    prepare_at: float | None = None
    """When to move the task that comes after those that people have open; None if there is nothing to do."""
    person: Person = None
    """Who answered last."""
    rest_until: float = 0.0
    problem: str = ""
    """What failed last; empty once something works again."""


class InstantLoop:
    """Takes in the answers of all projects. ``start`` starts its thread, ``stop`` ends it.

    Args:
        settings: the installation's.
        client: makes a client of Label Studio; by default one that does not retry.
        clock: monotonic seconds.
        now: seconds since 1970.
        pause: seconds from an answer until the task after the next one is prepared.
        worth_it: see `InstantQueue`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        client: Callable[[], LabelStudioClient] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        pause: float = PAUSE,
        worth_it: float = WORTH_IT,
    ) -> None:
        self._stores = stores_of(settings)
        self._new_client = client or (lambda: hasty_client(settings, timeout=TIMEOUT))
        self._client: LabelStudioClient | None = None
        self._clock, self._now, self._pause, self._worth_it = clock, now, pause, worth_it
        self._events: Queue[tuple[int, Mapping[str, Any]] | None] = Queue(MOST_WAITING)
        self._projects: OrderedDict[int, _Project] = OrderedDict()
        self._thread: Thread | None = None
        self._stop = Event()

    # --- called by requests, which must not wait -------------------------------------------------------------------

    def heard(self, project_id: int, annotation: Any) -> None:
        """A webhook says that somebody annotated a task."""
        if self._thread is not None and isinstance(annotation, Mapping):
            with suppress(Full):
                self._events.put_nowait((project_id, annotation))

    def status(self, project_id: int) -> dict[str, Any]:
        """What was done for one project since its last round, for ``/status``."""
        project = self._projects.get(project_id) or _Project()
        state = project.state
        return {
            "queue": state.name if state else None,
            "answers": state.answers if state else 0,
            "moved": state.moved if state else 0,
            "moved_late": state.moved_late if state else 0,
            "busy": self._events.unfinished_tasks > 0 or project.prepare_at is not None,
            "problem": project.problem,
        }

    # --- the thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._stop.clear()
        self._thread = Thread(target=self._work, name="instant loop", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None:
            with suppress(Full):
                self._events.put_nowait(None)
            thread.join(timeout)
        if self._client is not None:
            self._client.close()
            self._client = None

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                event = self._events.get(timeout=self._wait())
            except Empty:
                for project_id in self._waiting(self._clock()) or list(self._projects):
                    self._guarded(project_id, None)
            else:
                if event is not None:
                    self._guarded(*event)
                for project_id in self._waiting(self._clock()):
                    self._guarded(project_id, None)
                self._events.task_done()

    def _wait(self) -> float:
        """Seconds until there is something to do, if no answer comes first."""
        times = [project.prepare_at for project in self._projects.values() if project.prepare_at is not None]
        return max(min(times) - self._clock(), 0.0) if times else LOOK_EVERY

    def _waiting(self, now: float) -> list[int]:
        """Projects whose next task is to be prepared now."""
        return [
            i for i, project in self._projects.items() if project.prepare_at is not None and project.prepare_at <= now
        ]

    def _guarded(self, project_id: int, annotation: Mapping[str, Any] | None) -> None:
        """Whatever fails, the thread goes on with the next event, and the order stands."""
        project = self._projects.get(project_id) or _Project()
        if self._clock() < project.rest_until:
            project.prepare_at = None
            return
        due = project.prepare_at is not None and project.prepare_at <= self._clock()
        try:
            self._attend(project_id, annotation, prepare=due)
            project.problem = ""
            if due:  # not before: until then it is not done
                project.prepare_at = None
        except Exception as exc:
            ours = isinstance(exc, ActiveLearningError)
            problem = str(exc) if ours else type(exc).__name__
            if problem != project.problem:
                shown = None if ours else exc
                log.warning("project %s: answers do not move the order: %s", project_id, problem, exc_info=shown)
            project.problem, project.rest_until, project.prepare_at = problem, self._clock() + REST, None

    def _attend(self, project_id: int, annotation: Mapping[str, Any] | None, *, prepare: bool) -> None:
        """Take in one answer, or without one check for a new queue; then move what comes next."""
        store = self._stores.open(project_id)
        if store is None:
            return  # anybody can make up a number
        if is_paused(store.document(MOVES), self._now()):
            return
        if self._client is None:
            self._client = self._new_client()
        project = self._known(project_id)
        news = self._refresh(project, store, self._client)
        if project.state is None:
            return
        project.state.keep_in_place(read_overrides(store).dropped)
        answer = project.state.answer_in(annotation) if annotation is not None else None
        if answer is not None and (project.state.take_in(answer) or news):
            project.state.serve(answer.person, self._client)
            project.person, news = answer.person, True
        if prepare:
            project.state.prepare(project.person, self._client)
        elif news and project.prepare_at is None:
            project.prepare_at = self._clock() + self._pause

    def _known(self, project_id: int) -> _Project:
        project = self._projects.setdefault(project_id, _Project())
        self._projects.move_to_end(project_id)
        while len(self._projects) > MOST_PROJECTS:
            self._projects.popitem(last=False)
        return project

    def _refresh(self, project: _Project, store: ProjectStore, client: LabelStudioClient) -> bool:
        """Switch to the queue that is served now; returns whether that, or another server, brought new answers."""
        current = store.current().queue
        if current == project.queue:
            return project.state is not None and store.is_shared and project.state.catch_up(client)
        before, project.state = project.state, open_instant(store, worth_it=self._worth_it)
        news = False
        if project.state is not None:
            news = project.state.catch_up(client)
            project.state.look_up(client)
            if before is not None:
                project.state.take_over(before)
        project.queue = current
        return news
