"""Rounds over Redis, run by ``lsal worker`` on this machine or others: one at a time, at most one waiting per project.

A job of RQ names the project and the first request. Later requests, while the job is waiting, are merged under a key of
our own, in a transaction that fails if a worker takes the job meanwhile; the worker reads that key when it begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, cast

from redis import Redis
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job as QueuedJob

from ml_backend.errors import ConfigurationError
from ml_backend.jobs.job import CANCELLED, Job
from ml_backend.jobs.process import LONGEST_ROUND
from ml_backend.jobs.redis_jobs import ROUND, JsonData, RoundJob
from ml_backend.rounds.request import ASKED, RoundRequest

QUEUE_NAME: Final = "active-learning-rounds"
KEPT_FOR: Final = 24 * 3600
"""Seconds that the result of a queued round is kept."""
WAITS_FOR: Final = 30 * KEPT_FOR
"""Seconds that a merged request is kept: longer than a job may wait for a worker."""
STATUS_WORDS: Final = {
    "queued": "queued",
    "scheduled": "queued",
    "deferred": "queued",
    "created": "queued",
    "started": "started",
    "finished": "finished",
}

CANCELLED_WORDS: Final = frozenset({"canceled", "stopped"})


class RedisRoundQueue:
    """Rounds run by RQ workers, on this machine or others.

    Args:
        redis_url: where Redis is.
        limit: seconds that one round may take.

    Raises, from every method:
        ConfigurationError: Redis does not answer at REDIS_URL.
    """

    def __init__(self, redis_url: str, *, limit: float = LONGEST_ROUND) -> None:
        self._redis = Redis.from_url(redis_url)
        self._limit = limit
        self._queue = Queue(QUEUE_NAME, connection=self._redis, serializer=JsonData, job_class=RoundJob)

    def request(self, request: RoundRequest) -> Job:
        """Ask for a round. If one is still waiting for the same project, the request is merged into it."""
        try:
            for waiting in self._waiting():
                if waiting.project_id == request.project_id and self._take_in(waiting, request):
                    return _from_rq(waiting)
            job = self._queue.enqueue(
                ROUND,
                request.project_id,
                trigger=request.trigger,
                options=request.as_options(),
                at_front=not request.train,  # it is quickly done, and need not wait behind trainings
                job_timeout=int(self._limit),
                result_ttl=KEPT_FOR,
                failure_ttl=KEPT_FOR,
            )
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return _from_rq(cast(RoundJob, job))

    def _take_in(self, waiting: QueuedJob, request: RoundRequest) -> bool:
        """Merge a request into a waiting job; returns whether that came in time."""
        key = request_key(waiting.id)
        with self._redis.pipeline() as pipe:
            while True:
                pipe.watch(self._queue.key, key)  # type: ignore[no-untyped-call]
                if self._redis.lpos(self._queue.key, waiting.id) is None:
                    return False
                before = requested(waiting)
                after = before.then(request)
                if after == before:
                    return True
                pipe.multi()
                pipe.set(key, json.dumps(after.as_options()), ex=WAITS_FOR)
                try:
                    pipe.execute()  # type: ignore[no-untyped-call]
                except WatchError:  # some job came or went meanwhile, perhaps this one; or another server merged, too
                    continue
                return True

    def job(self, job_id: str) -> Job | None:
        """A job by its id; None if it is unknown or long over."""
        try:
            found = cast(RoundJob, RoundJob.fetch(job_id, connection=self._redis, serializer=JsonData))
            return _from_rq(found) if found.project_id is not None else None
        except (NoSuchJobError, UnicodeError):
            return None
        except RedisError as exc:
            raise _unreachable(exc) from exc

    def running(self, project_id: int) -> bool:
        """Whether a round of the project is waiting or running."""
        return project_id in [job.project_id for job in (*self._started(), *self._waiting())]

    def ahead(self, project_id: int) -> tuple[int, ...]:
        """Projects whose rounds come before the waiting one of this project; empty if none is waiting."""
        started, waiting = ([job.project_id for job in jobs] for jobs in (self._started(), self._waiting()))
        if project_id not in waiting:
            return ()
        before = [*started, *waiting[: waiting.index(project_id)]]
        return tuple(dict.fromkeys(number for number in before if number is not None))

    def cancel(self, project_id: int) -> bool:
        """Cancel the rounds of a project, waiting or running. Returns whether there was one."""
        found = False
        try:
            for job in self._waiting():
                if job.project_id == project_id:
                    job.cancel()
                    found = True
            for job in self._started():
                if job.project_id == project_id:
                    send_stop_job_command(self._redis, job.id, serializer=JsonData)
                    found = True
        except (NoSuchJobError, InvalidJobOperation):  # it ended meanwhile
            return found
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return found

    def _started(self) -> list[RoundJob]:
        return self._jobs(lambda: self._queue.started_job_registry.get_job_ids())

    def _waiting(self) -> list[RoundJob]:
        return self._jobs(lambda: self._queue.job_ids)

    def _jobs(self, ids: Callable[[], list[str]]) -> list[RoundJob]:
        try:
            found = RoundJob.fetch_many(ids(), connection=self._redis, serializer=JsonData)
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return [job for job in found if isinstance(job, RoundJob)]

    def close(self) -> None:
        """Close the connections to Redis. Rounds go on, since they belong to the workers."""
        self._redis.close()  # type: ignore[no-untyped-call]


def request_key(job_id: str) -> str:
    """The key of a job's merged request."""
    return f"active-learning:round-request:{job_id}"


def requested(job: QueuedJob) -> RoundRequest:
    """What a job's round is asked to do now: what was merged into it, otherwise what was queued.

    Raises:
        ConfigurationError: it comes from another release, with other fields.
    """
    merged: Any = job.connection.get(request_key(job.id))
    options: Any = job.kwargs.get("options") if merged is None else JsonData.loads(merged)
    return RoundRequest.from_options(int(job.args[0]), str(job.kwargs.get("trigger", ASKED)), options)


def _from_rq(job: RoundJob) -> Job:
    try:
        result = job.latest_result()
    except ValueError:  # an older release's, or made up
        result = None
    error = result.exc_string if result is not None else None
    status = str(job.get_status().value)
    if status in CANCELLED_WORDS:
        error = CANCELLED
    return Job(
        id=job.id,
        request=requested(job),
        status=STATUS_WORDS.get(status, "failed"),
        created_at=job.created_at,
        ended_at=job.ended_at,
        error=error.strip().splitlines()[-1] if error else None,
        result=result.return_value if result is not None and isinstance(result.return_value, dict) else None,
    )


def _unreachable(exc: RedisError) -> ConfigurationError:
    return ConfigurationError(
        f"Redis does not answer at REDIS_URL ({type(exc).__name__}); start it, or unset REDIS_URL."
    )
