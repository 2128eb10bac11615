"""What is asked of a round is neither lost nor doubled, however requests meet; and a round tells its step."""

import json
import threading
from datetime import UTC, datetime

import pytest

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.rounds import progress
from ml_backend.rounds.progress import EVERY, LiveProgress
from ml_backend.rounds.report import Recorder, Report, Silent
from ml_backend.rounds.request import RoundRequest, applied
from ml_backend.store.project_store import ProjectStore

PIN, OTHER, UNPIN = (
    RoundRequest(7, train=False, pin="v1"),
    RoundRequest(7, train=False, pin="v2"),
    RoundRequest(7, train=False, unpin=True),
)
ORDINARY = RoundRequest(7)
REORDER = RoundRequest(7, train=False)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (ORDINARY, ORDINARY, ORDINARY),
        (REORDER, ORDINARY, ORDINARY),
        (ORDINARY, REORDER, ORDINARY),
        (PIN, ORDINARY, RoundRequest(7, pin="v1")),
        (ORDINARY, PIN, RoundRequest(7, pin="v1")),
        (PIN, OTHER, OTHER),
        (PIN, UNPIN, UNPIN),
        (UNPIN, PIN, PIN),
        (PIN, REORDER, PIN),
        (
            RoundRequest(7, settings={"seed": 1}),
            RoundRequest(7, settings={"seed": 2}),
            RoundRequest(7, settings={"seed": 2}),
        ),
        (
            RoundRequest(7, settings={"hyperparameters": {"steps": 5}}),
            RoundRequest(7, train=False, settings={"hyperparameters": {"dropout": None}, "samples": 3}),
            RoundRequest(7, settings={"hyperparameters": {"steps": 5, "dropout": None}, "samples": 3}),
        ),
    ],
)
def test_one_round_does_what_two_would(first, second, both):
    assert first.then(second) == both


def test_requests_survive_redis_and_foreign_ones_are_refused():
    request = RoundRequest(7, "labels", pin="v1", settings={"hyperparameters": {"steps": 5}})
    assert RoundRequest.from_options(7, "labels", json.loads(json.dumps(request.as_options()))) == request
    assert RoundRequest.from_options(7) == ORDINARY
    with pytest.raises(ConfigurationError, match="another release"):
        RoundRequest.from_options(7, options={"future": 1})


def test_a_job_that_an_older_server_queued_asks_the_same():
    """Its options as releases before `RoundRequest` wrote them; and what we write is what their workers read."""
    queued = {"train": False, "pin": "headlines-0002-ab12cd", "unpin": False, "changes": {"seed": 3, "samples": None}}
    request = RoundRequest.from_options(7, "asked", queued)
    assert request == RoundRequest(7, train=False, pin="headlines-0002-ab12cd", settings={"seed": 3, "samples": None})
    assert request.as_options() == queued


def test_the_first_reason_stands_where_requests_meet():
    assert RoundRequest(7, "labels").then(RoundRequest(7, "asked", train=False)) == RoundRequest(7, "labels")


def test_changes_set_and_take_away():
    params = {"strategy": "bald", "promote_margin": None, "hyperparameters": {"steps": 5, "dropout": 0.1}}
    found = applied(params, {"strategy": None, "seed": 7, "hyperparameters": {"steps": None}})
    assert found == {"promote_margin": None, "seed": 7, "hyperparameters": {"dropout": 0.1}}
    assert applied(found, {"hyperparameters": {"dropout": None}}) == {"promote_margin": None, "seed": 7}
    assert params["strategy"] == "bald"


def test_a_waiting_round_takes_in_what_others_ask():
    gate, ran = threading.Semaphore(0), []

    def run(request):
        ran.append(request)
        assert gate.acquire(timeout=60)
        return {}

    worker = LocalRoundQueue(run)
    busy = worker.request(PIN)
    while not ran:
        pass
    waiting = worker.request(RoundRequest(7, "labels"))
    assert worker.request(OTHER).id == worker.request(RoundRequest(7)).id == waiting.id != busy.id
    assert worker.job(waiting.id).request == RoundRequest(7, "labels", pin="v2")
    gate.release(2)
    while worker.running(7):
        pass
    assert ran == [PIN, RoundRequest(7, "labels", pin="v2")]


def test_a_round_that_does_not_train_leaves_the_labels_waiting(tmp_path):
    worker = LocalRoundQueue(lambda *_: {})
    scheduler = Scheduler(Settings(model_dir=tmp_path), worker, client=lambda: None)
    scheduler.changed(7, labels=3)
    scheduler.ask(REORDER)
    assert scheduler.outlook(7).labels_waiting == 3
    scheduler.ask(RoundRequest(7))
    assert scheduler.outlook(7).labels_waiting == 0


# --- progress ----------------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_step_is_told_at_once_and_its_progress_now_and_then(tmp_path):
    clock, store = Clock(), ProjectStore(tmp_path, "1.1")
    facts = {"round": "abc", "trigger": "asked", "started": "2026-01-01T00:00:00+00:00"}
    live = LiveProgress(Silent(), lambda: store, facts, clock=clock, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    recorder = Recorder(Report(1), live)
    with recorder.step("fit") as step:
        assert progress.read(store) | facts == progress.read(store)
        assert (progress.read(store)["step"], progress.read(store)["done"]) == ("fit", 0)
        clock.now = EVERY / 2
        step.progress(1, 10)
        assert progress.read(store)["done"] == 0
        clock.now = EVERY
        step.progress(2, 10)
        assert (progress.read(store)["done"], progress.read(store)["total"]) == (2, 10)
    with recorder.step("score"):
        assert [step["name"] for step in progress.read(store)["steps"]] == ["fit"]
    live.end()
    assert progress.read(store) == {}
    assert [step.name for step in live.done] == ["fit", "score"]


def test_a_round_that_never_began_leaves_another_ones_progress(tmp_path):
    store = ProjectStore(tmp_path, "1.1")
    store.write_document("progress.json", {"step": "fit"})
    LiveProgress(Silent(), lambda: store, {}).end()
    assert progress.read(store) == {"step": "fit"}


def test_a_store_that_cannot_be_written_fails_no_round(tmp_path):
    (tmp_path / "project-1.1").write_text("a file where the folder should be")
    store = ProjectStore(tmp_path, "1.1")
    live = LiveProgress(Silent(), lambda: store, {})
    live.step_started("read")
    live.end()
    assert progress.read(store) == {}


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (RoundRequest(7), False),
        (RoundRequest(7, settings={"seed": 1}), False),
        (RoundRequest(7, pin="v"), True),
        (RoundRequest(7, unpin=True), True),
        (RoundRequest(7, train=False), True),
    ],
)
def test_what_no_later_round_would_do_in_its_place_is_told_apart(request_, wanted):
    assert request_.is_one_of_a_kind is wanted
