"""A round of another process, followed by its document."""

from datetime import UTC, datetime, timedelta

import pytest

from ml_backend.rounds.following import DEAD_AFTER, LOOK_EVERY, STALE, UNTOLD, Follower, follow
from ml_backend.rounds.progress import LiveProgress, clear
from ml_backend.rounds.report import Silent, StepTime
from ml_backend.store.project_store import ProjectStore

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


class Told:
    """What an observer was told, in short."""

    def __init__(self):
        self.lines = []

    def step_started(self, name):
        self.lines.append(f"{name} ...")

    def progress(self, name, done, total):
        if total:
            self.lines.append(f"{name} {done}/{total}")

    def step_finished(self, step):
        self.lines.append(f"{step.name} done")


class World:
    """A store, a clock, and a round elsewhere: what it does between two looks is a list of functions."""

    def __init__(self, root):
        self.store = ProjectStore(root, "7.1")
        self.store.set_extra_params({})
        self.now, self.naps, self.told, self.met = 0.0, [], Told(), []
        self.doing = []
        self.follower = Follower(lambda found: self.met.append((found.round, found.trigger)))
        self.follower.show_to(self.told)

    def round(self, name, trigger="time"):
        facts = {"round": name, "started": BEGAN.isoformat(), "trigger": trigger}
        return LiveProgress(Silent(), lambda: self.store, facts, clock=lambda: self.now, now=self.wall)

    def wall(self):
        return BEGAN + timedelta(seconds=self.now)

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds
        if self.doing:
            self.doing.pop(0)()

    def follow(self):
        follow(self.store, self.follower, clock=lambda: self.now, sleep=self.sleep, now=self.wall)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_each_step_is_told_once_until_the_round_is_gone(world):
    other = world.round("a")
    other.step_started("read")

    def on():
        other.step_finished(StepTime("read", 1.5))
        other.step_started("fit")
        world.now += LOOK_EVERY
        other.progress("fit", 3, 10)

    def further():
        for name in ("fit", "judge"):  # between two looks more than one step may end
            other.step_finished(StepTime(name, 1.0))
        other.step_started("score")

    world.doing = [on, lambda: None, further, lambda: clear(world.store)]
    world.follow()
    wanted = ["read ...", "read done", "fit ...", "fit 3/10", "fit done", "judge ...", "judge done", "score ..."]
    assert world.told.lines == wanted
    assert world.met == [("a", "time")]


def test_a_second_look_at_the_same_round_goes_on_where_the_first_ended(world):
    other = world.round("a")
    other.step_started("read")
    world.follow()
    assert world.now >= STALE  # nothing new came: time to see whether the project is still busy
    world.told.lines.clear()
    world.doing = [lambda: world.store.write_document("progress.json", {})]
    world.follow()
    assert world.told.lines == []
    assert world.met == [("a", "time")]


def test_the_next_round_is_announced_and_told_from_its_first_step(world):
    world.round("a").step_started("fit")
    world.doing = [lambda: world.round("b", "labels").step_started("read"), lambda: clear(world.store)]
    world.follow()
    assert world.told.lines == ["fit ...", "read ..."]
    assert world.met == [("a", "time"), ("b", "labels")]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"round": "a"},
        {"round": "a", "trigger": "t", "started": 3, "updated": "x", "step": "s", "done": 0, "total": 0, "steps": []},
        {"round": "a", "trigger": "t", "started": "2026-01-02", "step": "s", "done": 0, "total": 0, "steps": None},
    ],
)
def test_who_tells_nothing_or_nothing_known_is_given_a_moment(world, content):
    world.store.write_document("progress.json", content)
    world.follow()
    assert (world.naps, world.told.lines) == ([UNTOLD], [])


def test_what_a_killed_round_left_behind_is_not_told(world):
    world.round("a").step_started("fit")
    world.now += DEAD_AFTER.total_seconds() + 1
    world.follow()
    assert (world.naps, world.told.lines) == ([UNTOLD], [])
