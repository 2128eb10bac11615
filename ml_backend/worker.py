"""Rounds in the background: one at a time, at most one waiting per project."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any
from uuid import uuid4

log = logging.getLogger(__name__)
KEPT_JOBS = 200


@dataclass(frozen=True)
class Job:
    """One requested round."""

    id: str
    project_id: int
    status: str = "queued"
    """``queued``, ``started``, ``finished`` or ``failed``: the words that Label Studio knows."""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    result: dict[str, Any] | None = None


class Worker:
    """Runs requested rounds in one background thread, which starts with the first request."""

    def __init__(self, run: Callable[[int], dict[str, Any]]) -> None:
        self._run = run
        self._jobs: dict[str, Job] = {}
        self._waiting: list[str] = []
        self._changed = Condition()
        self._thread: Thread | None = None

    def request(self, project_id: int) -> Job:
        """Ask for a round. A request that is still waiting for the same project is returned instead of a second."""
        with self._changed:
            for job_id in self._waiting:
                if self._jobs[job_id].project_id == project_id:
                    return self._jobs[job_id]
            job = Job(uuid4().hex, project_id, created_at=datetime.now(UTC))
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            for old in list(self._jobs)[:-KEPT_JOBS]:
                if self._jobs[old].status in ("finished", "failed"):
                    del self._jobs[old]
            if self._thread is None:
                self._thread = Thread(target=self._work, name="rounds", daemon=True)
                self._thread.start()
            self._changed.notify()
            return job

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or long over."""
        with self._changed:
            return self._jobs.get(job_id)

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or under way."""
        with self._changed:
            return any(j.project_id == project_id and j.status in ("queued", "started") for j in self._jobs.values())

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                job = self._update(self._waiting.pop(0), status="started")
            try:
                result = self._run(job.project_id)
            except Exception as exc:  # whatever a round raises, the next one must still run
                log.exception("project %s: the round failed; the old order stands", job.project_id)
                self._update(job.id, status="failed", error=str(exc), ended_at=datetime.now(UTC))
            else:
                log.info("project %s: round done: %s", job.project_id, result.get("queue"))
                self._update(job.id, status="finished", result=result, ended_at=datetime.now(UTC))

    def _update(self, job_id: str, **changes: Any) -> Job:
        with self._changed:
            self._jobs[job_id] = replace(self._jobs[job_id], **changes)
            return self._jobs[job_id]
