"""Rounds in the background: one at a time, at most one waiting per project.

`LocalRoundQueue` is a thread of the server, which may leave the work to a process (`process`); `RedisRoundQueue` hands
rounds over Redis to ``lsal worker``.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Any, Protocol
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job as QueuedJob

from ml_backend.errors import ConfigurationError
from ml_backend.jobs.process import LONGEST_ROUND
from ml_backend.rounds.options import ORDINARY, RoundOptions

log = logging.getLogger(__name__)
KEPT_JOBS = 200
ASKED = "asked"
QUEUE_NAME = "active-learning-rounds"
ROUND = "ml_backend.backend.run_project_round"
"""What a queued job calls, by name: the server need not import it."""
KEPT_FOR = 24 * 3600
"""Seconds that the result of a queued round is kept."""
STATUS_WORDS = {"queued": "queued", "scheduled": "queued", "deferred": "queued", "created": "queued"} | {
    "started": "started",
    "finished": "finished",
}


@dataclass(frozen=True)
class Job:
    """One requested round."""

    id: str
    project_id: int
    trigger: str = ASKED
    """Why: ``asked``, or the word of the scheduler's rule."""
    status: str = "queued"
    """``queued``, ``started``, ``finished`` or ``failed``: the words that Label Studio knows."""
    created_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    result: dict[str, Any] | None = None
    options: RoundOptions = ORDINARY


class Rounds(Protocol):
    """Where a server asks for rounds."""

    def request(self, project_id: int, trigger: str = ASKED, options: RoundOptions = ORDINARY) -> Job:
        """Ask for a round. One that is waiting for the same project takes the options in; see `RoundOptions.then`."""

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or long over."""

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or under way."""

    def start(self) -> None:
        """Get ready for the first request, so that it need not wait."""

    def close(self) -> None:
        """Take no more requests; a round that this process runs is broken off."""


class LocalRoundQueue:
    """Runs requested rounds in one background thread, which starts with ``start`` or the first request.

    Args:
        run: runs one round, given the project, the trigger and the options.
        prepare: called once, in the thread, before the first round.
        close: called by ``close``; what ``run`` is doing then should end with an error.
    """

    def __init__(
        self,
        run: Callable[[int, str, RoundOptions], dict[str, Any]],
        *,
        prepare: Callable[[], None] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._run = run
        self._prepare = prepare
        self._close = close
        self._jobs: dict[str, Job] = {}
        self._waiting: list[str] = []
        self._changed = Condition()
        self._thread: Thread | None = None

    def request(self, project_id: int, trigger: str = ASKED, options: RoundOptions = ORDINARY) -> Job:
        """Ask for a round. One that is still waiting for the same project takes the options in, instead of a second."""
        with self._changed:
            for job_id in self._waiting:
                if self._jobs[job_id].project_id == project_id:
                    return self._update(job_id, options=self._jobs[job_id].options.then(options))
            job = Job(uuid4().hex, project_id, trigger, created_at=datetime.now(UTC), options=options)
            self._jobs[job.id] = job
            self._waiting.append(job.id)
            for old in list(self._jobs)[:-KEPT_JOBS]:
                if self._jobs[old].status in ("finished", "failed"):
                    del self._jobs[old]
            self.start()
            self._changed.notify()
            return job

    def start(self) -> None:
        """Get ready for the first request, so that it need not wait."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._work, name="rounds", daemon=True)
                self._thread.start()

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
            return any(j.project_id == project_id and j.status in ("queued", "started") for j in self._jobs.values())

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
                result = self._run(job.project_id, job.trigger, job.options)
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


class RedisRoundQueue:
    """Rounds run by RQ workers, on this machine or others.

    Raises, from every method:
        ConfigurationError: Redis does not answer at REDIS_URL.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url)
        self._queue = Queue(QUEUE_NAME, connection=self._redis)

    def request(self, project_id: int, trigger: str = ASKED, options: RoundOptions = ORDINARY) -> Job:
        """Ask for a round. One that is waiting for the same project takes the options in; see `RoundOptions.then`."""
        try:
            for waiting in self._queue.jobs:
                if waiting.args == (project_id,) and self._take_in(waiting, options):
                    return _from_rq(waiting)
            job = self._queue.enqueue(
                ROUND,
                project_id,
                trigger=trigger,
                options=options.as_json(),
                job_timeout=LONGEST_ROUND,
                result_ttl=KEPT_FOR,
                failure_ttl=KEPT_FOR,
            )
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return _from_rq(job)

    def _take_in(self, waiting: QueuedJob, options: RoundOptions) -> bool:
        """Add options to a job that nobody has begun; whether that came in time."""
        with self._redis.pipeline() as pipe:
            while True:
                pipe.watch(self._queue.key)  # type: ignore[no-untyped-call]
                if self._redis.lpos(self._queue.key, waiting.id) is None:
                    return False
                waiting.refresh()  # type: ignore[no-untyped-call]
                before = _options(waiting)
                if before.then(options) == before:
                    return True
                waiting.kwargs = {**waiting.kwargs, "options": before.then(options).as_json()}
                pipe.multi()
                # Only the call: the rest of the job's fields are the worker's to write.
                pipe.hset(waiting.key, mapping={"data": zlib.compress(waiting.data)})
                try:
                    pipe.execute()  # type: ignore[no-untyped-call]
                except WatchError:  # some job came or went meanwhile, perhaps this one
                    continue
                return True

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or long over."""
        try:
            return _from_rq(QueuedJob.fetch(job_id, connection=self._redis))
        except NoSuchJobError:
            return None
        except RedisError as exc:
            raise _unreachable(exc) from exc

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or under way."""
        try:
            started = self._queue.started_job_registry.get_job_ids()
            jobs = QueuedJob.fetch_many([*self._queue.job_ids, *started], connection=self._redis)
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return any(job is not None and job.args == (project_id,) for job in jobs)

    def start(self) -> None:
        """Nothing to get ready: workers are processes of their own."""

    def close(self) -> None:
        """Close the connections to Redis; rounds go on, they belong to the workers."""
        self._redis.close()  # type: ignore[no-untyped-call]


def _options(job: QueuedJob) -> RoundOptions:
    return RoundOptions.from_json(job.kwargs.get("options"))


def _from_rq(job: QueuedJob) -> Job:
    result = job.latest_result()
    error = result.exc_string if result is not None else None
    return Job(
        id=job.id,
        project_id=int(job.args[0]),
        trigger=str(job.kwargs.get("trigger", ASKED)),
        options=_options(job),
        status=STATUS_WORDS.get(str(job.get_status().value), "failed"),
        created_at=job.created_at,
        ended_at=job.ended_at,
        error=error.strip().splitlines()[-1] if error else None,
        result=job.return_value(),
    )


def _unreachable(exc: RedisError) -> ConfigurationError:
    return ConfigurationError(
        f"Redis does not answer at REDIS_URL ({type(exc).__name__}); start it, or unset REDIS_URL."
    )
