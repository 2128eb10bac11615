"""The scheduler without its thread: each tick by hand, Label Studio's two reads and the rounds replaced."""

import itertools
import json
import logging
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from ml_backend.config import Settings
from ml_backend.errors import (
    BUSY,
    ConfigurationError,
    LabelStudioNotFound,
    LabelStudioUnreachable,
)
from ml_backend.jobs.job import CANCELLED, Job
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.rounds.log import Seen
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore


class Rounds:
    """Rounds that end when the test says so."""

    def __init__(self):
        self.jobs, self.refuses = [], None

    def request(self, request):
        if self.refuses:
            raise self.refuses
        self.jobs.append(Job(str(len(self.jobs)), request, created_at=datetime.now(UTC)))
        return self.jobs[-1]

    def job(self, job_id):
        return self.jobs[int(job_id)]

    def running(self, project_id):
        return any(job.request.project_id == project_id and job.status in ("queued", "started") for job in self.jobs)

    def ahead(self, project_id):
        return ()

    def end(self, status="finished", error=None):
        last = self.jobs[-1]
        self.jobs[-1] = Job(last.id, last.request, status, error=error)


class World:
    """A clock, what Label Studio would say of each project, and a scheduler between them."""

    def __init__(self, root, **settings):
        self.now, self.seen, self.looks = 0.0, {}, 0
        self.meanwhile = lambda: None
        """What happens in Label Studio between the two reads of a look and its use."""
        self.settings = Settings(model_dir=root, label_studio_api_key="x", **settings)
        self.rounds = Rounds()
        self.news: list[int] = []
        """Projects that are to be counted anew."""
        self.scheduler = Scheduler(
            self.settings, self.rounds, client=lambda: self, clock=lambda: self.now, news=self.news.append
        )

    def newest(self, project_id):
        self.looks += 1
        found = self.seen.get(project_id, LabelStudioNotFound(f"Project {project_id} does not exist"))
        if isinstance(found, Exception):
            raise found
        return found.newest, ""

    def project(self, project_id):
        found = self.seen[project_id]
        self.meanwhile()
        return SimpleNamespace(task_count=found.tasks, annotation_count=found.annotations)

    def known(self, project_id, seen=None, **params):
        """A project with a store, whose last round saw this."""
        store = ProjectStore(self.settings.model_dir, f"{project_id}.1700000000")
        store.set_extra_params(params)
        if seen:
            (store.folder / "last_round.json").write_text(json.dumps(seen.__dict__))
            self.seen[project_id] = seen
        return store

    def pass_by(self, seconds, step=1.0):
        for _ in range(int(seconds / step)):
            self.now += step
            self.scheduler.tick()

    def of(self, project_id):
        return self.scheduler.status()["projects"][str(project_id)]


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def make(**settings):
        return World(tmp_path, **{"poll_seconds": 0} | settings)

    return make


OLD, NEW = Seen(40, 12, "t1"), Seen(40, 22, "t2")


def test_labels_are_counted_once_a_round_has_ended(world):
    """Some of those that came while it ran, it took up: without a count they would wait until the next answer."""
    world = world()
    world.known(7, OLD)
    world.seen[7] = NEW
    world.scheduler.changed(7, 10)
    world.scheduler.tick()
    world.scheduler.changed(7, 3)
    world.scheduler.counted(7, 1)
    assert world.of(7)["labels_waiting"] == 3, "while it runs nobody can tell"
    world.news.clear()
    world.rounds.end()
    world.scheduler.tick()
    assert world.news == [7]
    world.scheduler.counted(7, 1)
    assert world.of(7)["labels_waiting"] == 1


def test_ten_labels_start_a_round_at_once(world):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    for _ in range(10):
        w.scheduler.changed(7, 1)
    w.scheduler.tick()
    assert [(job.request.project_id, job.request.trigger) for job in w.rounds.jobs] == [(7, "labels")]
    w.pass_by(300)
    assert len(w.rounds.jobs) == 1


def test_one_label_starts_a_round_after_a_minute(world):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    w.scheduler.changed(7, 1)
    w.pass_by(59)
    assert w.rounds.jobs == []
    w.pass_by(2)
    assert [job.request.trigger for job in w.rounds.jobs] == ["time"]


def test_the_projects_own_rule(world):
    w = world()
    w.known(7, OLD, train_after_labels=2, train_after_seconds=5)
    w.seen[7] = NEW
    w.scheduler.changed(7, 1)
    w.scheduler.tick()
    assert w.of(7)["next_round_in"] == {"labels": 1, "seconds": 5.0}
    w.scheduler.changed(7, 1)
    w.scheduler.tick()
    assert len(w.rounds.jobs) == 1


def test_events_that_label_studio_does_not_bear_out_start_nothing(world):
    w = world()
    w.known(7, OLD)
    for _ in range(10_000):
        w.scheduler.changed(7, 1)
    w.pass_by(100)
    assert w.rounds.jobs == []
    assert w.looks == 1
    assert w.of(7)["labels_waiting"] == 0


def test_labels_during_a_round_start_one_more_and_only_one(world):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    w.scheduler.changed(7, 10)
    w.scheduler.tick()
    for _ in range(50):
        w.scheduler.changed(7, 1)
    w.pass_by(200)
    assert len(w.rounds.jobs) == 1
    w.rounds.end()
    w.pass_by(2)
    assert len(w.rounds.jobs) == 2


def test_a_label_that_comes_while_label_studio_is_asked_is_not_lost(world):
    w = world()
    w.known(7, OLD)

    def label():
        if w.seen[7] == OLD:
            w.scheduler.changed(7, 10)
            w.seen[7] = NEW

    w.meanwhile = label
    w.scheduler.changed(7, 10)
    w.scheduler.tick()
    assert w.rounds.jobs == []
    w.scheduler.tick()
    assert len(w.rounds.jobs) == 1


def test_an_unforeseen_error_does_not_leave_a_project_stuck(world):
    w = world()
    w.known(7, OLD)
    w.seen[7] = ZeroDivisionError("oops")
    w.scheduler.changed(7, 10)
    w.scheduler.tick()
    assert w.of(7)["last_error"] == "oops"
    w.seen[7] = NEW
    w.pass_by(6)
    assert len(w.rounds.jobs) == 1


def test_an_id_that_is_given_again_is_another_project(world, tmp_path):
    w = world(poll_seconds=10)
    w.known(7, OLD)
    del w.seen[7]
    w.pass_by(20)
    assert w.of(7)["deleted"]
    ProjectStore(tmp_path, "7.1800000000").set_extra_params({})
    w.seen[7] = NEW
    w.pass_by(20)
    assert not w.of(7)["deleted"]
    assert len(w.rounds.jobs) == 1


def test_a_round_that_fails_is_tried_again(world):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    w.scheduler.changed(7, 10)
    w.scheduler.tick()
    w.rounds.end("failed", "disk full")
    w.scheduler.tick()
    assert (w.of(7)["last_error"], w.of(7)["failures"], w.of(7)["labels_waiting"]) == ("disk full", 1, 10)
    w.pass_by(4)
    assert len(w.rounds.jobs) == 1
    w.pass_by(2)
    assert len(w.rounds.jobs) == 2
    w.rounds.end()
    w.scheduler.tick()
    assert (w.of(7)["last_error"], w.of(7)["failures"]) == (None, 0)


@pytest.mark.parametrize("error", [f"{BUSY} (/x/lock)", f"ml_backend.errors.ProjectBusy: {BUSY} (/x/lock)"])
def test_a_round_that_found_the_project_busy_has_not_failed_and_is_asked_for_again(world, error):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    w.scheduler.changed(7, 10)
    w.scheduler.tick()
    w.rounds.end("failed", error)
    w.scheduler.tick()
    assert (w.of(7)["last_error"], w.of(7)["failures"], w.of(7)["labels_waiting"]) == (None, 0, 10)
    w.pass_by(6)
    assert len(w.rounds.jobs) == 2


def test_by_hand_it_runs_though_nothing_changed_and_is_tried_again(world):
    w = world()
    w.known(7, OLD)
    w.scheduler.ask(RoundRequest(7))
    w.rounds.end("failed", "no")
    w.pass_by(10)
    assert [job.request.trigger for job in w.rounds.jobs] == ["asked", "time"]


def test_nobody_to_ask(world, caplog):
    w = world()
    w.known(7, OLD)
    w.seen[7] = NEW
    w.rounds.refuses = ConfigurationError("Redis does not answer")
    with pytest.raises(ConfigurationError):
        w.scheduler.ask(RoundRequest(7))
    w.pass_by(100)
    w.rounds.refuses = None
    w.pass_by(600)
    assert len(w.rounds.jobs) == 1


# --- looking for lost changes ------------------------------------------------------------------------------------


def test_a_lost_webhook_is_found(world):
    w = world(poll_seconds=60)
    w.known(7, OLD)
    w.pass_by(130)
    assert w.looks == 3, "at the start and each minute"
    assert w.rounds.jobs == []
    w.seen[7] = NEW
    w.pass_by(60)
    assert [job.request.trigger for job in w.rounds.jobs] == ["labels"]


@pytest.mark.parametrize("seen", [Seen(41, 12, "t1"), Seen(40, 11, "t1"), Seen(40, 12, "t2")])
def test_new_tasks_deleted_labels_and_edits_are_found(world, seen):
    w = world(poll_seconds=30)
    w.known(7, OLD)
    w.seen[7] = seen
    w.pass_by(70)
    assert [job.request.trigger for job in w.rounds.jobs] == ["time"]


def test_zero_switches_the_looks_off(world):
    w = world(poll_seconds=0)
    w.known(7, OLD)
    w.seen[7] = NEW
    w.pass_by(300)
    assert (w.looks, w.rounds.jobs) == (0, [])


def test_a_deleted_project_is_told_once_and_left_alone(world, caplog):
    w = world(poll_seconds=10)
    w.known(7, OLD)
    w.known(8, OLD)
    del w.seen[7]
    w.pass_by(100)
    assert caplog.text.count("project 7 is deleted") == 1
    assert w.looks == 1 + 10
    assert (w.of(7)["deleted"], w.of(8)["deleted"]) == (True, False)
    w.scheduler.changed(7, 10)
    w.pass_by(10)
    assert w.rounds.jobs == []
    assert caplog.text.count("project 7 is deleted") == 1


def test_label_studio_down_is_told_once_with_growing_waits(world, caplog):
    caplog.set_level(logging.INFO)
    w = world(poll_seconds=10)
    w.known(7, OLD)
    w.known(8, OLD)
    w.seen[7] = LabelStudioUnreachable("No Label Studio answers")
    w.pass_by(200)
    assert caplog.text.count("looking for changes fails") == 1
    assert w.looks == 6, "after 0, 5, 15, 35, 75 and 155 s, and not once more for the other project"
    assert w.scheduler.status()["polling"] == {"every_seconds": 10, "error": "No Label Studio answers"}
    w.seen[7] = NEW
    w.pass_by(200)
    assert "works again" in caplog.text
    assert [job.request.project_id for job in w.rounds.jobs] == [7]


def test_the_thread_survives_whatever_happens(world, caplog):
    w, often = world(), threading.Event()
    ticks = itertools.count(1)

    class Failing(Scheduler):
        def tick(self):
            if next(ticks) == 5:
                often.set()
            raise ZeroDivisionError("oops")

    failing = Failing(w.settings, w.rounds, client=lambda: w, tick_seconds=0.001)
    before = set(threading.enumerate())  # those of other tests may end at any moment
    failing.start()
    assert often.wait(60)
    failing.stop()
    assert caplog.text.count("starting rounds fails") == 1
    assert set(threading.enumerate()) <= before


def test_a_cancelled_round_starts_again_only_when_something_changes_or_somebody_asks(world):
    w = world(poll_seconds=30)
    w.known(7, OLD)
    w.seen[7] = NEW
    w.scheduler.changed(7, 20)
    w.scheduler.tick()
    assert len(w.rounds.jobs) == 1
    w.rounds.end("failed", CANCELLED)
    w.pass_by(600)
    assert len(w.rounds.jobs) == 1, "neither polls nor the changes that it took up"
    assert (w.of(7)["failures"], w.of(7)["next_round_in"]) == (0, None)
    w.seen[7] = Seen(40, 23, "t3")
    w.pass_by(120)
    assert len(w.rounds.jobs) == 2
    w.rounds.end("failed", CANCELLED)
    w.pass_by(120)
    w.scheduler.ask(RoundRequest(7))
    assert len(w.rounds.jobs) == 3
    w.rounds.end("failed", "no memory")
    w.pass_by(120)
    assert len(w.rounds.jobs) > 3, "a round that fails by itself is tried again"
