"""Rounds in the background: one at a time, at most one waiting per project, and none stops the next."""

import logging
import threading

import pytest
from support.logs import records_of
from support.waiting import PATIENCE, until

from ml_backend.errors import RoundCancelled, StoreError
from ml_backend.jobs.job import CANCELLED
from ml_backend.jobs.lane import Lane
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.rounds.request import RoundRequest


class Rounds:
    """Rounds that wait to be let through, and what happened."""

    def __init__(self):
        self.started = []
        self.at_once = self.most_at_once = 0
        self.fails = {}
        self._let_through = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    def cancel(self):
        self._cancelled.set()
        self.let_through()

    def __call__(self, request):
        project_id = request.project_id
        with self._lock:
            self.started.append(project_id)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self._let_through.acquire(timeout=PATIENCE)
        with self._lock:
            self.at_once -= 1
        if self._cancelled.is_set():
            self._cancelled.clear()
            raise RoundCancelled("it was killed")
        if project_id in self.fails:
            raise self.fails[project_id]
        return {"queue": f"queue of {project_id}"}

    def let_through(self, count=1):
        self._let_through.release(count)


@pytest.fixture
def rounds():
    rounds = Rounds()
    yield rounds
    rounds.let_through(1000)


def ended(worker, *jobs):
    until(lambda: all(worker.job(job.id).ended_at for job in jobs))
    return [worker.job(job.id) for job in jobs]


def test_the_life_of_a_job(rounds):
    worker = LocalRoundQueue(rounds)
    assert not worker.running(7)
    job = worker.request(RoundRequest(7))
    assert (job.status, job.request.project_id, job.result, job.error, job.ended_at) == ("queued", 7, None, None, None)
    until(lambda: worker.job(job.id).status == "started")
    assert worker.running(7)
    assert not worker.running(8)
    rounds.let_through()
    (done,) = ended(worker, job)
    assert (done.status, done.result, done.error) == ("finished", {"queue": "queue of 7"}, None)
    assert done.created_at <= done.ended_at
    assert not worker.running(7)


def test_requests_that_wait_become_one(rounds):
    worker = LocalRoundQueue(rounds)
    first = worker.request(RoundRequest(7))
    until(lambda: rounds.started == [7])
    # The round under way may have read the labels already: one more must follow, but not five.
    more = {worker.request(RoundRequest(7)).id for _ in range(5)}
    assert len(more) == 1
    assert first.id not in more
    rounds.let_through(2)
    ended(worker, first, worker.job(more.pop()))
    assert rounds.started == [7, 7]


def test_projects_wait_in_line_and_run_one_at_a_time(rounds):
    worker = LocalRoundQueue(rounds)
    jobs = [worker.request(RoundRequest(project)) for project in (1, 2, 3)]
    assert worker.request(RoundRequest(3)).id == jobs[2].id
    rounds.let_through(3)
    assert [job.status for job in ended(worker, *jobs)] == ["finished"] * 3
    assert rounds.started == [1, 2, 3]
    assert rounds.most_at_once == 1


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ZeroDivisionError("oops"), AssertionError("never")])
def test_a_round_that_fails_does_not_stop_the_next(rounds, error, caplog):
    worker = LocalRoundQueue(rounds)
    rounds.fails[1] = error
    rounds.let_through(2)
    with caplog.at_level(logging.INFO):
        failed, fine = ended(worker, worker.request(RoundRequest(1)), worker.request(RoundRequest(2)))
    assert (failed.status, failed.error, failed.result) == ("failed", str(error), None)
    assert fine.status == "finished"
    assert not worker.running(1)
    assert "project 1: the round failed" in caplog.text


def test_a_project_that_failed_can_be_asked_again(rounds):
    worker = LocalRoundQueue(rounds)
    rounds.fails[1] = StoreError("for now")
    rounds.let_through(2)
    (failed,) = ended(worker, worker.request(RoundRequest(1)))
    rounds.fails.clear()
    (again,) = ended(worker, worker.request(RoundRequest(1)))
    assert again.id != failed.id
    assert again.status == "finished"


def test_an_unknown_job(rounds):
    assert LocalRoundQueue(rounds).job("nonsense") is None


def test_old_jobs_are_forgotten_but_none_that_waits(rounds):
    worker = LocalRoundQueue(rounds, kept=3)
    oldest = worker.request(RoundRequest(0))
    until(lambda: rounds.started == [0])
    waiting = [worker.request(RoundRequest(project)) for project in range(1, 7)]
    assert all(worker.job(job.id) for job in (oldest, *waiting))
    rounds.let_through(7)
    ended(worker, *waiting)
    rounds.let_through()
    ended(worker, worker.request(RoundRequest(99)))
    assert worker.job(oldest.id) is None


def test_requests_from_many_threads(rounds):
    worker = LocalRoundQueue(rounds)
    rounds.let_through(1000)
    ids = []
    threads = [
        threading.Thread(target=lambda n=n: ids.append(worker.request(RoundRequest(n % 3)).id)) for n in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: not any(worker.running(project) for project in range(3)))
    assert {worker.job(job_id).status for job_id in ids} == {"finished"}
    assert rounds.most_at_once == 1
    assert set(rounds.started) == {0, 1, 2}
    assert len(rounds.started) == len(set(ids))


def test_no_request_no_thread(rounds):
    before = set(threading.enumerate())  # those of other tests may end at any moment
    LocalRoundQueue(rounds)
    assert set(threading.enumerate()) <= before


class Lanes:
    """Two lanes for all and one for what does not train, whose rounds wait to be let through or cancelled."""

    def __init__(self):
        self.rounds = [Rounds(), Rounds(), Rounds()]
        self.rested = []

    def queue(self, rest_after=PATIENCE):
        lanes = [
            Lane(self.rounds[n], cancel=self.rounds[n].cancel, rest=lambda n=n: self.rested.append(n), quick=n == 2)
            for n in (1, 2)
        ]
        first = self.rounds[0]
        return LocalRoundQueue(first, cancel=first.cancel, more=lanes, rest_after=rest_after)

    @property
    def started(self):
        return [rounds.started for rounds in self.rounds]


@pytest.fixture
def lanes():
    found = Lanes()
    yield found
    for rounds in found.rounds:
        rounds.let_through(1000)


def test_another_project_need_not_wait_for_one_that_trains_without_end(lanes):
    queue = lanes.queue()
    queue.request(RoundRequest(1))
    until(lambda: lanes.started == [[1], [], []])
    queue.request(RoundRequest(2))
    until(lambda: lanes.started == [[1], [2], []])
    queue.request(RoundRequest(3))
    assert queue.ahead(3) == (1, 2)
    queue.request(RoundRequest(4, train=False))
    until(lambda: lanes.started == [[1], [2], [4]])
    queue.request(RoundRequest(1))
    assert queue.ahead(1) == (1, 2, 4, 3)
    assert queue.ahead(2) == ()
    lanes.rounds[1].let_through()
    until(lambda: lanes.started == [[1], [2, 3], [4]])


def test_a_project_never_has_two_rounds_at_once(lanes):
    queue = lanes.queue()
    queue.request(RoundRequest(1))
    until(lambda: lanes.started[0] == [1])
    queue.request(RoundRequest(1, train=False))
    queue.request(RoundRequest(2))
    until(lambda: lanes.started[1] == [2])  # a later one: the earlier had its chance
    assert lanes.started == [[1], [2], []]
    lanes.rounds[0].let_through()
    until(lambda: lanes.started[0] == [1, 1])


def test_a_cancelled_round_ends_and_one_that_waits_never_begins(lanes, caplog):
    queue = lanes.queue()
    running = queue.request(RoundRequest(1))
    until(lambda: lanes.started[0] == [1])
    waiting, other = queue.request(RoundRequest(1)), queue.request(RoundRequest(2))
    until(lambda: lanes.started[1] == [2])
    assert queue.cancel(1)
    until(lambda: not queue.running(1))
    for job in (running, waiting):
        ended = queue.job(job.id)
        assert (ended.status, ended.error, ended.is_cancelled) == ("failed", CANCELLED, True)
    assert queue.job(other.id).status == "started"
    assert not queue.cancel(1)
    queue.request(RoundRequest(3))
    until(lambda: lanes.started[0] == [1, 3])
    assert not [record for record in records_of(caplog, "ml_backend.jobs") if record.exc_info]


def test_a_lane_that_has_nothing_to_do_rests_but_for_the_first(lanes):
    queue = lanes.queue(rest_after=0.05)
    queue.request(RoundRequest(1))
    until(lambda: lanes.started[0] == [1])
    queue.request(RoundRequest(2))
    until(lambda: lanes.started[1] == [2])
    for rounds in lanes.rounds[:2]:
        rounds.let_through()
    until(lambda: lanes.rested == [1])
