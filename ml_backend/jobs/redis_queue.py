"""Rounds over Redis, run by ``lsal worker`` on this machine or others: one at a time, at most one waiting per project.

A job of RQ says which project and what was asked first. What others ask while it waits is written under a key of our
own, in one transaction that fails if a worker takes the job meanwhile; the worker reads that key when it begins.
"""

from __future__ import annotations

import json
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job as QueuedJob

from ml_backend.errors import ConfigurationError
from ml_backend.jobs.job import Job
from ml_backend.jobs.process import LONGEST_ROUND
from ml_backend.rounds.request import ASKED, RoundRequest

QUEUE_NAME: Final = "active-learning-rounds"
ROUND: Final = "ml_backend.backend.run_project_round"
"""What a queued job calls, by name: the server need not import it, and workers of all releases know it."""
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


class RedisRoundQueue:
    """Rounds run by RQ workers, on this machine or others.

    Raises, from every method:
        ConfigurationError: Redis does not answer at REDIS_URL.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url)
        self._queue = Queue(QUEUE_NAME, connection=self._redis)

    def request(self, request: RoundRequest) -> Job:
        """Ask for a round. One that is waiting for the same project takes the request in; see `RoundRequest.then`."""
        try:
            for waiting in self._queue.jobs:
                if waiting.args == (request.project_id,) and self._take_in(waiting, request):
                    return _from_rq(waiting)
            job = self._queue.enqueue(
                ROUND,
                request.project_id,
                trigger=request.trigger,
                options=request.as_options(),
                job_timeout=LONGEST_ROUND,
                result_ttl=KEPT_FOR,
                failure_ttl=KEPT_FOR,
            )
        except RedisError as exc:
            raise _unreachable(exc) from exc
        return _from_rq(job)

    def _take_in(self, waiting: QueuedJob, request: RoundRequest) -> bool:
        """Merge a request into a job that nobody has begun; whether that came in time."""
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

    def close(self) -> None:
        """Close the connections to Redis; rounds go on, they belong to the workers."""
        self._redis.close()  # type: ignore[no-untyped-call]


def request_key(job_id: str) -> str:
    """Where the merged request of a job is."""
    return f"active-learning:round-request:{job_id}"


def requested(job: QueuedJob) -> RoundRequest:
    """What is asked of a job's round now: what others merged into it, else what was queued.

    Raises:
        ConfigurationError: it comes from another release, with other fields.
    """
    merged: Any = job.connection.get(request_key(job.id))
    options: Any = job.kwargs.get("options") if merged is None else json.loads(merged)
    return RoundRequest.from_options(int(job.args[0]), str(job.kwargs.get("trigger", ASKED)), options)


def _from_rq(job: QueuedJob) -> Job:
    result = job.latest_result()
    error = result.exc_string if result is not None else None
    return Job(
        id=job.id,
        request=requested(job),
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
