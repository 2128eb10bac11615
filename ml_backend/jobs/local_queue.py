"""Rounds in the background of the server: one at a time, at most one waiting per project."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any, Final
from uuid import uuid4

from ml_backend.jobs.job import Job
from ml_backend.rounds.request import RoundRequest

log = logging.getLogger(__name__)
KEPT_JOBS: Final = 200


class LocalRoundQueue:
    """Runs requested rounds in one background thread, which starts with ``start`` or the first request.

    Args:
        run: runs one round.
        prepare: called once, in the thread, before the first round.
        close: called by ``close``; what ``run`` is doing then should end with an error.
        kept: jobs that are remembered; those that wait or run always are.
    """

    def __init__(
        self,
        run: Callable[[RoundRequest], dict[str, Any]],
        *,
        prepare: Callable[[], None] | None = None,
        close: Callable[[], None] | None = None,
        kept: int = KEPT_JOBS,
    ) -> None:
        self._run = run
        self._prepare = prepare
        self._close = close
        self._kept = kept
        self._jobs: dict[str, Job] = {}
        self._waiting: list[str] = []
        self._changed = Condition()
        self._thread: Thread | None = None

    def request(self, request: RoundRequest) -> Job:
        """Ask for a round. One that is still waiting for the same project takes the request in, instead of a second."""
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
            if self._thread is None:
                self._thread = Thread(target=self._work, name="rounds", daemon=True)
                self._thread.start()
            self._changed.notify()
            return job

    def close(self) -> None:
        """Break off the round under way, where that is possible."""
        if self._close is not None:
            self._close()

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or long over."""
        with self._changed:
            return self._jobs.get(job_id)

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or under way."""
        with self._changed:
            return any(
                job.request.project_id == project_id and job.status in ("queued", "started")
                for job in self._jobs.values()
            )

    def _work(self) -> None:
        if self._prepare is not None:
            try:
                self._prepare()
            except Exception as exc:  # the first round will try again, and tell
                log.warning("getting ready for rounds failed: %s", exc)
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                job = self._update(self._waiting.pop(0), status="started")
            try:
                result = self._run(job.request)
            except Exception as exc:  # whatever a round raises, the next one must still run
                log.exception("project %s: the round failed; the old order stands", job.request.project_id)
                self._update(job.id, status="failed", error=str(exc), ended_at=datetime.now(UTC))
            else:
                log.info("project %s: round done: %s", job.request.project_id, result.get("queue"))
                self._update(job.id, status="finished", result=result, ended_at=datetime.now(UTC))

    def _update(self, job_id: str, **changes: Any) -> Job:
        with self._changed:
            self._jobs[job_id] = replace(self._jobs[job_id], **changes)
            return self._jobs[job_id]
