"""The backend behind a real Label Studio: connecting, the order people see, predictions, the training button."""

import json
import subprocess
import sys

import numpy as np
import pytest
import requests
from support.connected import AUDIO, TITLE, WORDS, connect
from support.rounds import round_of as run_round_of
from support.serving import Backend
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.errors import LabelStudioRejected
from ml_backend.importing.image_files import png_data_uri
from ml_backend.rounds.from_settings import workspace
from ml_backend.store.project_store import ProjectStore


@pytest.fixture
def backend(label_studio, tmp_path, monkeypatch):
    """Start the backend: ``backend(**settings)``."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    running = []

    def start(**changes):
        known = {
            "label_studio_url": label_studio.url,
            "label_studio_api_key": label_studio.token,
            "model_dir": tmp_path / "versions",
            "queue_size": 8,
        }
        running.append(Backend(Settings(**known | changes)))
        return running[-1]

    yield start
    for server in running:
        server.close()


def headlines(make_project, labelled=12, in_all=40):
    """A project of so many headlines, the first of them labelled."""
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(in_all)]
    for number, row in enumerate(rows[:labelled]):
        row["annotations"] = [{"result": project.answer(("related", "not related")[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


def round_of(server, project, **kwargs):
    return run_round_of(workspace(server.settings, project.client), project.id, **kwargs)


def predictions(project):
    """Predictions in Label Studio: (task, version) → scores."""
    found = {}
    for row in project.client.request("GET", "api/predictions", params={"project": project.id}).json():
        found.setdefault((row["task"], row["model_version"]), []).append(row["score"])
    return found


def retrieve(project):
    """What the Data Manager's "Retrieve predictions" does for all tasks."""
    params = {"id": "retrieve_tasks_predictions", "project": project.id}
    body = {"selectedItems": {"all": True, "excluded": []}}
    return project.client.request("POST", "api/dm/actions", params=params, body=body).json()


# --- connecting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["headlines", "mnist"])
def test_both_kinds_of_projects_connect(make_project, backend, kind):
    project, server = make_project(kind, 2), backend()
    row = connect(project, server.url)
    assert (row["readable_state"], row["error_message"]) == ("Connected", None)
    (webhook,) = project.client.request("GET", "api/webhooks", params={"project": project.id}).json()
    assert webhook["url"] == f"{server.url}/webhook"
    # Before a first round, "Retrieve predictions" orders nothing and breaks nothing.
    retrieve(project)
    assert predictions(project) == {(task, "untrained"): [1.0] for task in project.task_ids}


def test_an_unsupported_config_is_explained_on_label_studios_page(make_project, backend):
    project, server = make_project("headlines"), backend()
    project.client.request("PATCH", f"api/projects/{project.id}", body={"label_config": AUDIO})
    with pytest.raises(LabelStudioRejected) as error:
        connect(project, server.url)
    shown = str(error.value)
    assert (
        f"The labeling config of project {project.id} asks about Audio; supported: Image, Text, HyperText, Paragraphs."
        in shown
    )
    assert "Change it in Settings > Labeling Interface." in shown
    assert "Traceback" not in shown


def test_extra_params_as_the_page_sends_them(make_project, backend):
    project, server = headlines(make_project), backend()
    with pytest.raises(LabelStudioRejected, match="Extra params: strategy: Unknown strategy 'best'"):
        connect(project, server.url, extra_params='{"strategy": "best"}')
    with pytest.raises(LabelStudioRejected, match="must be a JSON object"):
        connect(project, server.url, extra_params="strategy = margin")
    connect(project, server.url, extra_params='{"strategy": "margin", "queue_size": 3}')
    report = round_of(server, project)
    assert (report.queue.strategy, len(report.queue.predictions)) == ("margin", 3)


def test_basic_auth(make_project, backend):
    project, server = make_project("headlines", 1), backend(basic_auth_user="studio", basic_auth_pass="päss")
    with pytest.raises(LabelStudioRejected, match="Wrong or missing basic auth"):
        connect(project, server.url)
    with pytest.raises(LabelStudioRejected, match="Wrong or missing basic auth"):
        connect(project, server.url, auth_method="BASIC_AUTH", basic_auth_user="studio", basic_auth_pass="wrong")
    row = connect(project, server.url, auth_method="BASIC_AUTH", basic_auth_user="studio", basic_auth_pass="päss")
    assert row["readable_state"] == "Connected"


# --- the order ---------------------------------------------------------------------------------------------------


def test_people_are_served_in_the_order_of_the_queue(make_project, backend):
    project, server = headlines(make_project), backend()
    connect(project, server.url)
    assert project.project.model_version == TITLE  # what Label Studio does by itself; a round sets it right
    report = round_of(server, project)
    served = []
    for _ in report.queue.predictions:
        task = project.client.next_task(project.id)
        served.append(task["id"])
        project.client.annotate(task["id"], project.answer("related"))
    assert served == [prediction.task_id for prediction in report.queue.predictions]
    assert len(set(served)) == 8


def test_retrieved_predictions_agree_with_the_queue(make_project, backend):
    project, server = headlines(make_project), backend()
    connect(project, server.url)
    report = round_of(server, project)
    queued = {(p.task_id, report.queue.name): [p.score] for p in report.queue.predictions}
    assert predictions(project) == queued
    retrieve(project)
    found = predictions(project)
    assert {key: found[key] for key in queued} == queued
    assert set(found) == {(task, report.queue.name) for task in project.task_ids}
    # All are written anew, the queued ones too: the same scores come from the backend itself.
    project.client.delete_version(project.id, report.queue.name)
    assert predictions(project) == {}
    retrieve(project)
    anew = predictions(project)
    assert {key: anew[key] for key in queued} == queued
    assert {key: scores[0] for key, scores in anew.items()} == pytest.approx({key: s[0] for key, s in found.items()})
    behind = [score for key, (score,) in found.items() if key not in queued and key[0] in project.task_ids[12:]]
    assert len(behind) == 20
    assert min(behind) > max(score for (score,) in queued.values())


def test_a_failed_publication_leaves_the_served_version_with_a_backend_connected(make_project, backend, monkeypatch):
    project, server = headlines(make_project), backend()
    connect(project, server.url)
    first = round_of(server, project)
    original = project.client.import_predictions

    def half(project_id, rows):
        original(project_id, rows[:3])
        raise LabelStudioRejected("Label Studio took 3 of 8")

    with monkeypatch.context() as patch:
        patch.setattr(project.client, "import_predictions", half)
        with pytest.raises(LabelStudioRejected):
            round_of(server, project, overrides={"strategy": "margin"})
    assert project.project.model_version == first.queue.name
    assert project.client.prediction_versions(project.id) == {first.queue.name: 8}


# --- the training button -----------------------------------------------------------------------------------------


def test_start_training_in_two_projects_at_once(make_project, backend):
    server = backend()
    images = [{"image": png_data_uri(np.full((28, 28), 40 * number, np.uint8))} for number in range(6)]
    projects = {"headlines": headlines(make_project, in_all=16), "mnist_cnn": make_project("mnist", images)}
    digits = projects["mnist_cnn"]
    for task_id, digit in zip(digits.task_ids, "3737", strict=False):
        digits.client.annotate(task_id, digits.answer(digit))
    for project in projects.values():
        row = connect(project, server.url, extra_params={"hyperparameters": {"steps": 5}})
        project.client.request("POST", f"api/ml/{row['id']}/train", body={})
    for model, project in projects.items():
        until(lambda p=project: p.project.model_version != TITLE, f"a round of {model}")
        name = project.project.model_version
        assert name.startswith(f"{model}-0001-")
        store = ProjectStore(server.settings.model_dir, project.project.uid)
        until(lambda s=store, n=name: s.current().queue == n, "the store's own switch")
        version = store.current().version
        assert store.manifest(version).model == model
        assert store.manifest(version).training["hyperparameters"]["steps"] == 5
        assert project.client.prediction_versions(project.id) == {name: len(store.queue(name).predictions)}
    assert len(server_versions(server, projects["headlines"])) == 1

    # Another label, another press of the button: another version.
    project = projects["headlines"]
    project.client.annotate(project.task_ids[-1], project.answer("related"))
    (row,) = project.client.backends(project.id)
    project.client.request("POST", f"api/ml/{row['id']}/train", body={})
    until(lambda: len(server_versions(server, project)) == 2, "a second version")


def server_versions(server, project):
    params = {"project": project.project.uid}
    return requests.get(f"{server.url}/versions", params=params, timeout=60).json()["versions"]


def test_without_a_scheduler_annotating_starts_no_training(make_project, backend):
    project, server = headlines(make_project, in_all=14), backend()
    connect(project, server.url)
    project.client.annotate(project.task_ids[-1], project.answer("related"))
    assert server_versions(server, project) == []
    answer = requests.get(f"{server.url}/is_training", params={"project": project.id}, timeout=60).json()
    assert answer == {"is_training": False}


# --- label-studio-ml's own server --------------------------------------------------------------------------------

OTHER_SERVER = """
import json, sys
from pathlib import Path
from label_studio_ml.api import init_app
from ml_backend.backend import ActiveLearningBackend
from ml_backend.config import Settings

root, setup, predict = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
app = init_app(ActiveLearningBackend, model_dir=root, settings=Settings(model_dir=Path(root)))
client = app.test_client()
answers = [client.get("/health"), client.post("/setup", json=setup), client.post("/predict", json=predict)]
print(json.dumps([[answer.status_code, answer.json] for answer in answers]))
"""


def test_label_studio_mls_own_server_gives_the_same_predictions(make_project, backend):
    project, server = headlines(make_project, in_all=20), backend(queue_size=4)
    round_of(server, project, overrides={"hyperparameters": {"steps": 10}})
    now = project.project
    rows = [row for page in project.client.all_tasks(project.id) for row in page]
    tasks = [{"id": row["id"], "project": project.id, "data": row["data"]} for row in rows]
    setup = {"project": now.uid, "schema": now.label_config, "hostname": "http://x", "access_token": "t"}
    predict = {"project": now.uid, "label_config": now.label_config, "tasks": tasks, "params": {"context": None}}
    ours = requests.post(f"{server.url}/predict", json=predict, timeout=60).json()["results"]
    command = [sys.executable, "-W", "ignore", "-c", OTHER_SERVER]
    arguments = [str(server.settings.model_dir), json.dumps(setup), json.dumps(predict)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    health, setup_answer, predict_answer = json.loads(done.stdout.splitlines()[-1])
    assert (health[0], health[1]["status"]) == (200, "UP")
    assert setup_answer[0] == 200, setup_answer
    assert predict_answer[0] == 200, predict_answer
    assert predict_answer[1]["results"] == ours
    assert len(ours) == 20
    assert {row["model_version"] for row in ours} == {now.model_version}
