"""Rounds over a real Redis: the server asks, a worker process runs them."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import ServerProcess, free_port
from rq import Queue, SimpleWorker
from support.label_studio import MakeProject
from support.places import REPOSITORY
from support.redis_server import REDIS_PASSWORD
from support.waiting import until

from ml_backend.config import load_settings
from ml_backend.errors import ConfigurationError
from ml_backend.jobs import queued_round
from ml_backend.jobs.job import Job
from ml_backend.jobs.redis_jobs import RoundJob, WorkerData
from ml_backend.jobs.redis_queue import QUEUE_NAME, WAITS_FOR, RedisRoundQueue, request_key, requested
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app


@pytest.fixture
def rounds(redis_url: str) -> Iterator[RedisRoundQueue]:
    queued = RedisRoundQueue(redis_url)
    queued._redis.flushall()
    yield queued
    queued.close()


def test_a_waiting_round_is_found_again(rounds: RedisRoundQueue) -> None:
    first, other = rounds.request(RoundRequest(7)), rounds.request(RoundRequest(8))
    assert rounds.request(RoundRequest(7)).id == first.id != other.id
    assert (first.status, first.request.project_id) == ("queued", 7)
    assert rounds.running(7)
    assert (rounds.request(RoundRequest(10, "labels")).request.trigger, first.request.trigger) == ("labels", "asked")
    assert not rounds.running(9)
    assert rounds.job("unknown") is None


def test_a_waiting_round_takes_in_what_others_ask(rounds: RedisRoundQueue) -> None:
    first = rounds.request(RoundRequest(7, "labels"))
    pin = RoundRequest(7, train=False, pin="v1", settings={"hyperparameters": {"steps": 5}})
    merged = rounds.request(pin)
    assert (merged.id, merged.request.trigger) == (first.id, "labels")
    job = rounds.job(first.id)
    assert job is not None
    assert job.request == RoundRequest(7, "labels", pin="v1", settings={"hyperparameters": {"steps": 5}})
    assert rounds.request(RoundRequest(7, train=False)).request == job.request
    assert len(rounds._queue.job_ids) == 1


def test_a_round_that_has_begun_takes_nothing_in(rounds: RedisRoundQueue) -> None:
    """A worker took it from the queue after we saw it there: the request must be a job of its own."""
    first = rounds.request(RoundRequest(7))
    (seen,) = rounds._queue.jobs
    rounds._queue.pop_job_id()
    assert not rounds._take_in(seen, RoundRequest(7, pin="v1"))
    second = rounds.request(RoundRequest(7, pin="v1"))
    assert second.id != first.id
    assert second.request.pin == "v1"


def test_rq_keeps_the_call_as_it_was_queued_and_the_merged_request_has_a_key_of_its_own(
    rounds: RedisRoundQueue,
) -> None:
    first = rounds.request(RoundRequest(7))
    before = rounds._redis.hgetall(f"rq:job:{first.id}")
    rounds.request(RoundRequest(7, pin="v1"))
    assert rounds._redis.hgetall(f"rq:job:{first.id}") == before
    assert 0 < rounds._redis.ttl(request_key(first.id)) <= WAITS_FOR
    (waiting,) = rounds._queue.jobs
    assert requested(waiting) == RoundRequest(7, pin="v1")


def test_a_merge_that_meets_a_worker_is_a_job_of_its_own(rounds: RedisRoundQueue) -> None:
    """The worker takes the job between our look at the queue and our write: the write must not happen."""
    first = rounds.request(RoundRequest(7))
    (seen,) = rounds._queue.jobs
    pipeline, taken = rounds._redis.pipeline, []

    class Meeting:
        def __init__(self) -> None:
            self.pipe = pipeline()

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.pipe.reset()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.pipe, name)

        def multi(self) -> None:
            if not taken:
                taken.append(rounds._queue.pop_job_id())
            self.pipe.multi()

    rounds._redis.pipeline = Meeting
    assert not rounds._take_in(seen, RoundRequest(7, pin="v1"))
    assert taken == [first.id]
    assert rounds._redis.get(request_key(first.id)) is None


def test_a_worker_runs_the_merged_request_and_what_older_servers_queued(
    rounds: RedisRoundQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[RoundRequest] = []
    monkeypatch.setattr(queued_round, "run_request", lambda request, settings: ran.append(request) or {})
    rounds.request(RoundRequest(7, "labels"))
    rounds.request(RoundRequest(7, pin="v1", settings={"seed": 3}))
    old = {"train": False, "pin": "v2", "unpin": False, "changes": {"samples": None}}
    older = Queue(QUEUE_NAME, connection=rounds._redis)  # as RQ is by itself: with pickles
    older.enqueue("ml_backend.backend.run_project_round", 8, trigger="asked", options=old)
    work(rounds)
    assert ran == [
        RoundRequest(7, "labels", pin="v1", settings={"seed": 3}),
        RoundRequest(8, train=False, pin="v2", settings={"samples": None}),
    ]


def work(rounds: RedisRoundQueue) -> None:
    """Work off the queue as ``lsal worker`` does, in this process."""
    kinds = {"serializer": WorkerData, "job_class": RoundJob}
    queue = Queue(QUEUE_NAME, connection=rounds._redis, **kinds)
    SimpleWorker([queue], connection=rounds._redis, **kinds).work(burst=True)


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_planted_job_runs_nothing(rounds: RedisRoundQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where the server reads it, nor where a worker takes it: pickles, foreign functions, callbacks."""
    ran: list[RoundRequest] = []
    monkeypatch.setattr(queued_round, "run_request", lambda request, settings: ran.append(request) or {})
    mark = tmp_path / "mark"
    pickled = Queue(QUEUE_NAME, connection=rounds._redis)
    planted = [
        pickled.enqueue("ml_backend.backend.run_project_round", Evil(mark)),
        pickled.enqueue("os.system", f"touch {mark}"),
        rounds._queue.enqueue("os.system", f"touch {mark}"),
        rounds._queue.enqueue("subprocess.call", ["touch", str(mark)]),
    ]
    hooked = rounds.request(RoundRequest(7))
    for name in ("success_callback_name", "failure_callback_name", "stopped_callback_name"):
        rounds._redis.hset(f"rq:job:{hooked.id}", name, "os.abort")
    rounds._redis.hset(f"rq:job:{planted[0].id}", "meta", zlib.compress(pickle.dumps(Evil(mark))))

    assert [rounds.job(job.id) for job in planted] == [None] * 4
    assert not rounds.running(9)
    assert rounds.ahead(7) == ()
    assert rounds.request(RoundRequest(8)).status == "queued"
    work(rounds)
    assert ran == [RoundRequest(7), RoundRequest(8)]
    assert [job.get_status().value for job in planted] == ["failed"] * 4
    assert not mark.exists()


def test_a_cancelled_round_that_waits_never_runs(rounds: RedisRoundQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[RoundRequest] = []
    monkeypatch.setattr(queued_round, "run_request", lambda request, settings: ran.append(request) or {})
    first = rounds.request(RoundRequest(7))
    rounds.request(RoundRequest(8))
    rounds.request(RoundRequest(9, train=False))
    assert (rounds.ahead(8), rounds.ahead(7), rounds.ahead(9)) == ((9, 7), (9,), ())
    assert rounds.cancel(7)
    assert not rounds.cancel(7)
    assert not rounds.running(7)
    work(rounds)
    assert [request.project_id for request in ran] == [9, 8], "what trains nothing comes first"
    job = rounds.job(first.id)
    assert job is not None
    assert (job.status, job.is_cancelled) == ("failed", True)


def test_without_redis_the_error_says_what_to_do() -> None:
    rounds = RedisRoundQueue(f"redis://:secret@127.0.0.1:{free_port()}/0")
    for call in (lambda: rounds.request(RoundRequest(1)), lambda: rounds.job("x"), lambda: rounds.running(1)):
        with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
            call()
        assert "secret" not in str(caught.value)
    rounds.close()


def test_a_worker_process_runs_the_rounds(
    rounds: RedisRoundQueue, redis_url: str, make_project: MakeProject, tmp_path: Path, label_studio
) -> None:
    """The server's START_TRAINING, a worker of another process, and a failing project beside it."""
    project = make_project(tasks=5)
    names = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": label_studio.token}
    logs = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    env = os.environ | names | logs | {"MODEL_DIR": str(tmp_path / "versions"), "REDIS_URL": redis_url}
    settings = load_settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=label_studio.token,
        model_dir=tmp_path / "versions",
        redis_url=redis_url,
    )
    scheduler = Scheduler(settings, rounds, client=lambda: label_studio.client)
    web = create_app(settings, rounds=rounds, scheduler=scheduler).test_client()

    def start(project_id: int) -> str:
        answer = web.post("/webhook", json={"action": "START_TRAINING", "project": {"id": project_id}})
        assert answer.status_code == 201
        return str(answer.json["job"])

    assert web.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 987_654}}).status_code == 404
    jobs = [scheduler.ask(RoundRequest(987_654)).id, start(project.id)]
    command = [sys.executable, str(REPOSITORY / "scripts" / "worker.py")]
    with ServerProcess("worker", command, log=tmp_path / "worker.log", env=env) as worker:
        until(lambda: all(over(rounds.job(job)) for job in jobs) or not worker.running)
        assert worker.running, worker.log_tail()
    failed, finished = (web.post("/job_status", json={"job": job}).json for job in jobs)
    assert failed["job_status"] == "failed"
    assert "987654" in failed["error"]
    assert "Traceback" not in failed["error"]
    assert finished["job_status"] == "finished"
    assert finished["result"]["queue"] == project.project.model_version == "start.auto-0001"
    log = (tmp_path / "worker.log").read_text()
    for secret in (label_studio.token, REDIS_PASSWORD, "headline number"):
        assert secret not in log
    lines = [json.loads(line) for line in log.splitlines()]
    made = [line for line in lines if line["logger"].startswith("ml_backend")]
    assert {line["project"] for line in made} == {project.id, 987_654}
    assert all(line["round"] for line in made)
    assert any(line["logger"] == "rq.worker" and "round" not in line for line in lines)

    # The scheduler hears how both ended, over Redis; the log is the worker's.
    scheduler.tick()
    shown = web.get("/status").json["projects"][str(project.id)]
    assert (shown["queue"], shown["running"], shown["failures"]) == ("start.auto-0001", False, 0)
    assert shown["last_round"]["round"] in {line["round"] for line in made if line["project"] == project.id}
    assert (shown["last_round"]["trigger"], shown["last_round"]["error"]) == ("asked", None)
    assert scheduler._trigger.outlook(987_654).failures == 1


def over(job: Job | None) -> bool:
    return job is not None and job.status in ("finished", "failed")
