"""Commands that find the project busy, with a real lock and a clock of the test's."""

from datetime import UTC, datetime

import pytest

from ml_backend.cli.joining import joined
from ml_backend.config import Settings
from ml_backend.errors import BUSY, ProjectBusy, StoreError
from ml_backend.rounds.progress import LiveProgress
from ml_backend.rounds.report import Silent, StepTime
from ml_backend.store.project_store import ProjectStore


class Busy:
    """A project whose lock somebody holds until so many naps are over."""

    def __init__(self, root):
        self.settings = Settings(model_dir=root, round_seconds=60)
        self.store = ProjectStore(root, "7.1")
        self.store.set_extra_params({})
        self.now, self.attempts = 0.0, 0
        self.held = self.store.lock()
        self.held.__enter__()
        facts = {"round": "a", "started": datetime.now(UTC).isoformat(), "trigger": "labels"}
        self.round = LiveProgress(Silent(), lambda: self.store, facts)
        self.until = None

    def free(self):
        if self.held:
            self.round.end()
            self.held.__exit__(None, None, None)
            self.held = None

    def sleep(self, seconds):
        self.now += seconds
        if self.until is not None and self.now >= self.until:
            self.free()

    def attempt(self):
        self.attempts += 1
        # another handle of the same file is refused, as another process is
        with ProjectStore(self.store.folder.parent, "7.1").lock():
            return "done"

    def join(self, **options):
        return joined(self.attempt, 7, self.settings, clock=lambda: self.now, sleep=self.sleep, **options)


@pytest.fixture
def busy(tmp_path):
    made = Busy(tmp_path)
    yield made
    made.free()


def test_a_command_joins_the_round_under_way_and_does_its_work_after_it(busy, capsys):
    busy.round.step_started("read")
    busy.round.step_finished(StepTime("read", 1.25))
    busy.round.step_started("fit")
    busy.until = 5
    assert busy.join() == "done"
    told = capsys.readouterr().err
    assert "Project 7 is busy" in told
    assert "A round for new labels is under way" in told
    assert "1.2 s    read" in told
    assert told.count("is busy") == told.count("under way") == 1
    assert busy.attempts == 2
    assert "Error" not in told


def test_work_that_tells_nothing_is_waited_for_too(busy, capsys):
    busy.until = 3
    assert busy.join() == "done"
    assert "under way" not in capsys.readouterr().err


def test_now_fails_at_once(busy):
    with pytest.raises(ProjectBusy, match=BUSY):
        busy.join(now=True)
    assert (busy.now, busy.attempts) == (0, 1)


def test_no_wait_is_longer_than_a_round_may_take(busy):
    with pytest.raises(ProjectBusy, match=BUSY):
        busy.join()
    assert 60 <= busy.now < 75


def test_a_free_project_is_not_waited_for_and_other_errors_pass(busy, capsys):
    busy.free()
    assert busy.join() == "done"

    def fails():
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        joined(fails, 7, busy.settings)
    assert capsys.readouterr().err == ""
