"""``/metrics``: what Prometheus reads is what the stores say, also where one of them is broken."""

from datetime import UTC, datetime, timedelta

import pytest
from support.logs import said
from support.scraping import scrape
from support.stores import QUEUE, WEIGHTS, manifest

from ml_backend.config import Settings
from ml_backend.rounds.log import append
from ml_backend.server import create_app
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.registry import StoreRegistry
from ml_backend.web.metrics import GAUGES, OUTCOMES, StoreCollector, outcome, project_samples

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
METRICS = {"n": 4, "accuracy": 0.75, "f_macro": 0.5, "f_positive": None, "auc": 0.875, "ece": 0.125}


def logged(minutes_ago, error=None, **facts):
    ended = NOW - timedelta(minutes=minutes_ago)
    steps = [{"name": "read", "seconds": 1.5}, {"name": "fit", "seconds": 2.0}, {"name": "read", "seconds": 0.25}]
    started = (ended - timedelta(seconds=5)).isoformat()
    return {"started": started, "ended": ended.isoformat(), "steps": steps, "error": error} | facts


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return Settings(model_dir=tmp_path)


@pytest.fixture
def store(settings):
    store = ProjectStore(settings.model_dir, "7.1700000000")
    store.write_version(manifest(1).model_copy(update={"metrics": METRICS}), WEIGHTS)
    store.write_version(manifest(2).model_copy(update={"promoted": False}), WEIGHTS)
    store.write_queue(QUEUE)
    store.set_current(Current(QUEUE.version, QUEUE.name, QUEUE.version))
    append(store, logged(60, trained=True, published=True, labels=31, open_tasks=70))
    append(store, logged(30, published=True, labels=0, open_tasks=69))
    append(store, logged(20, error="Label Studio is down"))
    append(store, logged(10, error="Label Studio is down"))
    return store


def test_the_figures_of_a_project(store):
    found = {(name, *labels): value for name, labels, value in project_samples(store, NOW)}
    assert found == {
        ("store_readable",): 1,
        ("logged_rounds", "trained"): 1,
        ("logged_rounds", "reordered"): 1,
        ("logged_rounds", "unchanged"): 0,
        ("logged_rounds", "failed"): 2,
        ("failed_rounds_in_a_row",): 2,
        ("seconds_since_good_round",): 30 * 60,
        ("last_round_seconds",): 5,
        ("last_round_step_seconds", "read"): 1.75,
        ("last_round_step_seconds", "fit"): 2,
        ("labels",): 31,  # of the last round that read them
        ("open_tasks",): 69,
        ("queue_tasks",): 2,
        ("stored_versions",): 2,
        ("version_number",): 1,
        ("version_pinned",): 1,
        ("version_held_back",): 1,
        ("accuracy",): 0.75,
        ("f_score_macro",): 0.5,
        ("auc",): 0.875,
        ("calibration_error",): 0.125,
    }


def test_a_project_without_rounds_has_no_times(settings):
    store = ProjectStore(settings.model_dir, "8.1")
    store.set_extra_params({})
    found = {name: value for name, _, value in project_samples(store, NOW)}
    assert (found["version_number"], found["queue_tasks"], found["failed_rounds_in_a_row"]) == (0, 0, 0)
    assert not found.keys() & {"seconds_since_good_round", "last_round_seconds", "accuracy", "open_tasks"}


def test_outcomes_also_of_lines_that_older_releases_wrote():
    lines = [{"error": "x"}, {"trained": True}, {"queue": "q"}, {"queue": "q", "published": False}, {"queue": None}]
    found = [outcome({"error": None} | line) for line in lines]
    assert found == ["failed", "trained", "reordered", "unchanged", "unchanged"]
    assert set(found) == set(OUTCOMES)


def test_a_broken_store_hides_itself_alone(settings, store, caplog):
    broken = ProjectStore(settings.model_dir, "8.1800000000")
    broken.set_extra_params({})
    (broken.folder / "current.json").write_text("{")
    odd = ProjectStore(settings.model_dir, "9.1900000000")
    append_to = odd.folder / "rounds.jsonl"
    odd.set_extra_params({})
    append_to.write_text('{"steps": 1, "error": null}\n')
    found = scrape(create_app(settings).test_client())
    assert found["store_readable"] == {("7",): 1, ("8",): 0, ("9",): 0}
    assert found["accuracy"] == {("7",): 0.75}
    assert found["queue_tasks"] == {("7",): 2}
    assert said(caplog, "ml_backend.web.metrics") == [
        "project 8: its store cannot be read for /metrics (StoreError)",
        "project 9: its store cannot be read for /metrics (KeyError)",
    ]


def test_every_family_has_help_and_no_label_but_the_project_and_known_words(settings, store):
    families = {
        family.name: family for family in StoreCollector(StoreRegistry(settings.model_dir), lambda: NOW).collect()
    }
    assert set(families) == {f"active_learning_{name}" for name in GAUGES}
    for family in families.values():
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= {"project", "outcome", "step"}


def test_requests_are_counted_and_timed_by_route_and_status(settings):
    client = create_app(settings).test_client()
    for _ in range(3):
        client.get("/health")
    client.post("/setup", json={})
    for path in ("/made-up", "/other?x=1"):
        client.get(path)
    client.open("/health", method="MADEUP")
    counts = scrape(client)["http_request_seconds_count"]
    assert counts == {
        ("GET", "/health", "200"): 3,
        ("POST", "/setup", "400"): 1,
        ("unknown", "unknown", "404"): 2,
        ("unknown", "unknown", "405"): 1,
    }
    found = scrape(client)
    assert found["http_request_seconds_count"]["GET", "/metrics", "200"] == 1
    buckets = found["http_request_seconds_bucket"]
    assert max(value for labels, value in buckets.items() if "/health" in labels and "200" in labels) == 3
    assert scrape(create_app(settings).test_client()).keys() & {"http_request_seconds_count"} == set()  # its own


def test_metrics_ask_for_the_same_password(settings):
    settings = Settings(model_dir=settings.model_dir, basic_auth_user="u", basic_auth_pass="p")
    client = create_app(settings).test_client()
    assert client.get("/metrics").status_code == 401
    assert scrape(client, auth=("u", "p"))["http_request_seconds_count"]["GET", "/metrics", "401"] == 1
