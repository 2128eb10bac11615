"""The connector's contract: what starts rounds, and what is told of them."""

import threading

import pytest
from support.served import UID, VERSION, publish
from support.waiting import PATIENCE, until

from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.rounds.request import RoundRequest
from ml_backend.server import create_app
from ml_backend.store.project_store import ProjectStore
from ml_backend.web.projects import KnownProjects


@pytest.fixture
def automatic(settings):
    """A client of a backend whose scheduler is not started, the scheduler, and the gate that its rounds wait at."""
    gate = threading.Event()
    settings = settings.model_copy(update={"label_studio_api_key": "x"})
    worker = LocalRoundQueue(lambda _: {"queue": gate.wait(PATIENCE)})
    scheduler = Scheduler(settings, worker)
    ProjectStore(settings.model_dir, UID).set_extra_params({})
    yield create_app(settings, rounds=worker, scheduler=scheduler).test_client(), scheduler, gate
    gate.set()


def waiting(client):
    return client.get("/status").json["projects"]["7"]


@pytest.mark.parametrize(
    ("event", "labels"),
    [
        ({"action": "ANNOTATION_CREATED", "annotation": {"id": 1}}, 1),
        ({"action": "ANNOTATION_UPDATED", "annotation": {"id": 1}}, 1),
        ({"action": "ANNOTATIONS_CREATED", "annotation": [{"id": 1}, {"id": 2}]}, 2),
        ({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}, {"id": 2}, {"id": 3}]}, 3),
        ({"action": "TASKS_CREATED", "tasks": [{"id": 1}]}, 0),
        ({"action": "TASKS_DELETED", "tasks": [{"id": 1}]}, 0),
    ],
)
def test_events_that_change_labels_or_tasks_are_noted(automatic, event, labels):
    client, _, _ = automatic
    answer = client.post("/webhook", json=event | {"project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": True})
    seen = waiting(client)
    assert seen["labels_waiting"] == labels
    assert seen["next_round_in"]["labels"] == 10 - labels
    assert not seen["running"]


@pytest.mark.parametrize(
    "action", ["PROJECT_UPDATED", "PROJECT_CREATED", "LABEL_LINK_CREATED", "nonsense", None, 7, []]
)
def test_other_events_are_received_and_start_nothing(automatic, action):
    client, _, _ = automatic
    answer = client.post("/webhook", json={"action": action, "project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})
    assert waiting(client)["next_round_in"] is None


@pytest.mark.parametrize("project", [None, {}, 7, {"id": "7"}, {"id": -1}, {"id": True}])
def test_an_event_without_a_project_starts_nothing(automatic, project):
    client, _, _ = automatic
    answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": project})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})


def test_without_a_scheduler_events_start_nothing(trainer):
    client, ran, _ = trainer
    answer = client.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}})
    assert (answer.status_code, answer.json) == (200, {"accepted": False})
    assert client.get("/status").json == {"projects": {}, "polling": None}
    assert ran == []


def test_webhooks_are_answered_at_once_while_a_round_runs(automatic):
    """The round holds its thread, not the answers."""
    client, _, gate = automatic
    client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7}})
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 7}, "annotation": {"id": 1, "result": ["x" * 20_000]}}
    for _ in range(200):
        assert client.post("/webhook", json=event).status_code == 200
    assert not gate.is_set()
    seen = waiting(client)
    assert (seen["running"], seen["labels_waiting"]) == (True, 200)


def test_status(automatic, settings):
    client, _, _ = automatic
    name = publish(settings, UID, {1: 0.5})
    ProjectStore(settings.model_dir, "8.1").set_extra_params({})
    answer = client.get("/status").json
    assert answer["polling"] == {"every_seconds": 60, "error": None}
    assert set(answer["projects"]) == {"7", "8"}
    assert answer["projects"]["7"] == {
        "instant": None,
        "version": VERSION,
        "queue": name,
        "numbers": None,
        "measures": {},
        "running": False,
        "waits_for": [],
        "last_round": None,
        "labels_waiting": 0,
        "next_round_in": None,
        "failures": 0,
        "last_error": None,
        "deleted": False,
    }


def test_a_damaged_store_does_not_hide_the_other_projects(automatic, settings):
    client, _, _ = automatic
    publish(settings, "8.1", {1: 0.5})
    (settings.model_dir / f"project-{UID}" / "current.json").write_text("{")
    projects = client.get("/status").json["projects"]
    assert "current.json is damaged" in projects["7"]["last_error"]
    assert projects["8"]["version"] == VERSION


def test_start_training_runs_a_round_and_the_job_can_be_followed(trainer):
    client, ran, worker = trainer
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7, "title": "x"}})
    assert answer.status_code == 201
    job = answer.json["job"]
    until(lambda: not worker.running(7), "its end")
    assert ran == [7]
    status = client.post("/job_status", json={"job": job}).json
    assert (status["job_status"], status["error"], status["result"]) == ("finished", None, {"queue": "q"})
    assert status["created_at"]
    assert status["ended_at"]
    assert client.get("/is_training?project=7.1700000000").json == {"is_training": False}


@pytest.mark.parametrize("project", [None, {}, 7, {"id": None}, {"id": "abc"}, {"id": [7]}, {"id": -1}])
def test_a_training_request_without_a_project(trainer, project):
    answer = trainer[0].post("/webhook", json={"action": "START_TRAINING", "project": project})
    assert answer.status_code == 400
    assert "names no project" in answer.status


def test_training_needs_a_token(client):
    answer = client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7}})
    assert answer.status_code == 400
    assert "set LABEL_STUDIO_API_KEY" in answer.status


def test_is_training(settings):
    gate = threading.Event()
    worker = LocalRoundQueue(lambda _: {"done": gate.wait(PATIENCE)})
    client = create_app(settings, rounds=worker).test_client()
    worker.request(RoundRequest(7))
    assert client.get("/is_training?project=7.17").json == {"is_training": True}
    assert client.get("/is_training?project=8").json == {"is_training": False}
    for odd in ("", "?project=", "?project=x", "?project=²"):
        assert client.get("/is_training" + odd).json == {"is_training": False}
    gate.set()


def test_an_unknown_job_is_gone(client):
    for job in ("nonsense", None, 7):
        assert client.post("/job_status", json={"job": job}).status_code == 410


def test_300_made_up_projects_are_asked_about_a_few_times_alone(settings):
    asked = []
    settings = settings.model_copy(update={"label_studio_api_key": "x"})
    known = KnownProjects(settings, ask=asked.append, clock=lambda: 0.0)
    app = create_app(settings, rounds=LocalRoundQueue(lambda _: {}), projects=known)
    client = app.test_client()
    body = {"action": "START_TRAINING", "project": {"id": 7}}
    answers = [client.post("/webhook", json=body | {"project": {"id": 1000 + n}}).status_code for n in range(300)]
    assert (answers.count(404), answers.count(429), len(asked)) == (20, 280, 20)
    again = [client.post("/webhook", json=body | {"project": {"id": 1000}}).status_code for _ in range(5)]
    assert (again, len(asked)) == ([404] * 5, 20), "what was asked once is known for a while"
