"""Rounds in the background of the server, in the order asked for: per project at most one runs and one waits.

Rounds of several projects run in several lanes. A lane takes a round only if the lanes before it are busy; the last
lane takes only rounds that do not train. Since a project has at most one round waiting, projects take turns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any, Final
from uuid import uuid4

from ml_backend.errors import ProjectBusy
from ml_backend.jobs.job import CANCELLED, Job
from ml_backend.jobs.lane import Lane, nothing
from ml_backend.rounds.request import RoundRequest

log = logging.getLogger(__name__)
KEPT_JOBS: Final = 200
REST_AFTER: Final = 300.0
"""Seconds without a round after which a lane frees its memory; the first lane never does."""


class LocalRoundQueue:
    """Runs requested rounds in background threads, which start with ``start`` or the first request.

    Args:
        run: runs one round.
        close: called by ``close``; a running ``run`` should then end with an error.
        cancel: breaks off the round that ``run`` is running.
        more: further lanes beside this one, in the order in which they are used.
        kept: how many finished jobs are remembered; waiting and running ones always are.
        rest_after: seconds without a round after which a further lane rests.
    """

    def __init__(
        self,
        run: Callable[[RoundRequest], dict[str, Any]],
        *,
        close: Callable[[], None] = nothing,
        cancel: Callable[[], None] = nothing,
        more: Sequence[Lane] = (),
        kept: int = KEPT_JOBS,
        rest_after: float = REST_AFTER,
    ) -> None:
        self._lanes = [Lane(run, cancel=cancel, close=close), *more]
        self._kept, self._rest_after = kept, rest_after
        self._jobs: dict[str, Job] = {}
        self._waiting: list[str] = []
        self._busy: dict[int, str] = {}
        """Lane → the job that it runs."""
        self._cancelled: set[str] = set()
        self._changed = Condition()
        self._threads: list[Thread] = []

    def request(self, request: RoundRequest) -> Job:
        """Ask for a round. If one is still waiting for the same project, the request is merged into it."""
        with self._changed:
            for job_id in self._waiting:
                waiting = self._jobs[job_id].request
                if waiting.project_id == request.project_id:
                    return self._update(job_id, request=waiting.then(request))
            job = Job(uuid4().hex, request, created_at=datetime.now(UTC))
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            for old in list(self._jobs)[: -self._kept]:
                if self._jobs[old].status in ("finished", "failed"):
                    del self._jobs[old]
            if not self._threads:
                self._start()
            self._changed.notify_all()
            return job

    def _start(self) -> None:
        numbers = range(len(self._lanes))
        self._threads = [Thread(target=self._work, args=(n,), name=f"rounds {n + 1}", daemon=True) for n in numbers]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Break off the running rounds, if possible."""
        for lane in self._lanes:
            lane.close()

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or forgotten."""
        with self._changed:
            return self._jobs.get(job_id)

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or running."""
        with self._changed:
            return any(
                job.request.project_id == project_id and job.status in ("queued", "started")
                for job in self._jobs.values()
            )

    def ahead(self, project_id: int) -> tuple[int, ...]:
        """Projects whose rounds come before the waiting one of this project; empty if none is waiting."""
        with self._changed:
            order = [self._project(job) for job in (*self._busy.values(), *self._waiting)]
            waits = [self._project(job) for job in self._waiting]
            if project_id not in waits:
                return ()
            before = order[: len(self._busy) + waits.index(project_id)]
            return tuple(dict.fromkeys(before))

    def cancel(self, project_id: int) -> bool:
        """Cancel the rounds of a project, waiting or running; returns whether there was one."""
        with self._changed:
            waiting = [job for job in self._waiting if self._project(job) == project_id]
            running = {lane: job for lane, job in self._busy.items() if self._project(job) == project_id}
            for job in waiting:
                self._waiting.remove(job)
                self._update(job, status="failed", error=CANCELLED, ended_at=datetime.now(UTC))
            for lane, job in running.items():  # under the lock, so that the lane takes no other round meanwhile
                self._cancelled.add(job)
                self._lanes[lane].cancel()
            self._changed.notify_all()
            return bool(waiting or running)

    def _project(self, job_id: str) -> int:
        return self._jobs[job_id].request.project_id

    def _work(self, number: int) -> None:
        lane = self._lanes[number]
        rested = True
        while True:
            with self._changed:
                job = self._take(number)
                if job is None:
                    woken = self._changed.wait(None if rested or number == 0 else self._rest_after)
            if job is not None:
                self._run(number, job)
                rested = False
            elif not woken:
                lane.rest()
                rested = True

    def _take(self, number: int) -> Job | None:
        """The first waiting round that this lane should run now, if any. The lock is held."""
        at_work = {self._project(job) for job in self._busy.values()}
        for job_id in self._waiting:
            request = self._jobs[job_id].request
            fit = [
                n for n, lane in enumerate(self._lanes) if n not in self._busy and not (lane.quick and request.train)
            ]
            if request.project_id not in at_work and fit and fit[0] == number:
                self._waiting.remove(job_id)
                self._busy[number] = job_id
                self._changed.notify_all()  # another lane may take the next one now
                return self._update(job_id, status="started")
        return None

    def _run(self, number: int, job: Job) -> None:
        project_id = job.request.project_id
        result, error = None, None
        try:
            result = self._lanes[number].run(job.request)
        except ProjectBusy as exc:
            error = str(exc)
            log.info("project %s: no round was run: %s", project_id, exc)
        except Exception as exc:  # whatever a round raises, the next one must still run
            error = str(exc)
            if job.id not in self._cancelled:
                log.exception("project %s: the round failed; the old order stands", project_id)
        with self._changed:
            if error is not None and job.id in self._cancelled:
                error = CANCELLED
                log.warning("project %s: the round was cancelled", project_id)
            self._cancelled.discard(job.id)
            if error is None:
                log.info("project %s: round done: %s", project_id, (result or {}).get("queue"))
            status = "finished" if error is None else "failed"
            self._update(job.id, status=status, error=error, result=result, ended_at=datetime.now(UTC))
            del self._busy[number]
            self._changed.notify_all()

    def _update(self, job_id: str, **changes: Any) -> Job:
        with self._changed:
            self._jobs[job_id] = replace(self._jobs[job_id], **changes)
            return self._jobs[job_id]
