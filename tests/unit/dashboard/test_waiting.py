"""What a page says while people wait: for whom, since when, how far, how long."""

from datetime import UTC, datetime, timedelta

import pytest
from bench.dashboard_store import make_store
from support.dashboards import words

from ml_backend.config import Settings
from ml_backend.dashboard.pages.overview_rounds import round_section
from ml_backend.dashboard.pulse import read_pulse
from ml_backend.dashboard.reading.waiting import usual_seconds
from ml_backend.dashboard.services import Services
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.rounds.log import append

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Behind(LocalRoundQueue):
    """A queue in which project 1 waits for others."""

    def __init__(self, others):
        super().__init__(lambda *_: {})
        self.others = others

    def running(self, project_id):
        return True

    def ahead(self, project_id):
        return self.others if project_id == 1 else ()


@pytest.fixture
def stores(tmp_path):
    return [make_store(tmp_path, number, versions=1, title=f"Project of {number}") for number in (1, 2, 3, 4, 5)]


def told(stores, others, seconds=0):
    settings = Settings(model_dir=stores[0].folder.parent, label_studio_api_key="k" * 40)
    services = Services(settings, Behind(others), now=lambda: NOW + timedelta(seconds=seconds))
    return words(round_section(read_pulse(services, 1)))


def begin(store, step="fit", done=0, total=0):
    told = {"round": "r", "trigger": "labels", "started": NOW.isoformat(), "steps": [], "updated": NOW.isoformat()}
    store.write_document("progress.json", told | {"step": step, "done": done, "total": total})


def line(seconds, **more):
    ended = NOW + timedelta(seconds=seconds)
    return {"started": NOW.isoformat(), "ended": ended.isoformat(), "trained": True, "error": None} | more


def test_who_is_waited_for_since_when_and_how_long_that_takes(stores):
    begin(stores[1])
    for seconds in (100, 130, 900):
        append(stores[1], line(seconds, round=str(seconds)))
    shown = told(stores, (2,), seconds=65)
    assert "The round waits for project 2, “Project of 2” (training for 1 minute; its rounds take about" in shown
    assert "Cancel" in shown


def test_of_many_some_are_named(stores):
    assert "project 4, “Project of 4” (its rounds take about 4 seconds) and 1 other." in told(stores, (2, 3, 4, 5))


def test_without_anybody_ahead_it_is_about_to_start(stores):
    assert "about to start" in told(stores, ())
    assert "about to start" in told(stores, (1,)), "not for itself"


def test_progress_is_a_share_and_the_time_left(stores):
    begin(stores[0], done=1_000, total=3_000)
    for seconds in (60, 90, 100):
        append(stores[0], line(seconds, round=str(seconds)))
    assert "training, 33% of it done. Under way for 10 seconds; about 1 minute left" in told(stores, (), seconds=10)
    assert "Under way for 3 minutes; the last rounds took 1 minute." in told(stores, (), seconds=190)
    begin(stores[0], step="embed")
    assert "looking at the open tasks. It has just begun" in told(stores, ())


def test_usual_is_the_middle_of_the_last_good_rounds_that_trained():
    lines = [
        line(1_000),
        *(line(s) for s in (10, 30, 20)),
        line(0, error="x"),
        line(0, trained=False),
        line(25),
        line(40),
    ]
    assert usual_seconds(lines) == 25
    assert usual_seconds([]) is None
    assert usual_seconds([line(5, error="failed"), {"started": "", "trained": True}]) is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [(3, "Next round in 7 labels, or in 47 seconds at the latest; 3 new labels so far."), (0, "without a new label")],
)
def test_a_change_without_labels_promises_no_round(labels, said):
    pulse = {"progress": None, "running": False, "labels_to_go": 10 - labels, "labels_waiting": labels, "failures": 0}
    shown = words(round_section(pulse | {"seconds_to_go": 47.0}))
    assert said in shown
    assert ("round" in shown) == bool(labels)
