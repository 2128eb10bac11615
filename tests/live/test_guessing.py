"""A version that cannot be told from guessing, in a real Label Studio: said, not shown, and not what orders."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ml_backend.config import ProjectSettings, load_settings
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.predictor import Predictor
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore

CONFIG = """<View><Text name="text" value="$text"/><Choices name="label" toName="text">
<Choice value="red"/><Choice value="blue"/></Choices></View>"""
SUBJECTS = ("The minister", "A farmer", "Our team", "The river", "An old bridge", "The bank")
TOLD = ("was praised", "was sold", "was seen", "grew", "came back", "stayed away")
PLACES = ("in spring", "near Perth", "at night", "by train", "in the north", "after lunch", "on Monday")
TEXTS = [f"{s} {t} {p}" for s in SUBJECTS for t in TOLD for p in PLACES][:240]


@pytest.fixture
def drawn_labels(make_project):
    """240 texts, 40 of them with labels that have nothing to do with what they say."""
    project = make_project("noise", config=CONFIG)
    labels = np.random.default_rng(3).permutation(["red", "blue"] * 20)
    rows = [{"data": {"text": text}} for text in np.random.default_rng(4).permutation(TEXTS).tolist()]
    for row, label in zip(rows, labels.tolist(), strict=False):
        row["annotations"] = [{"result": project.answer(label)}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


def test_a_model_of_noise_is_said_to_guess_and_does_not_order(drawn_labels, label_studio, tmp_path):
    project = drawn_labels
    workspace = Workspace(project.client, tmp_path, ProjectSettings(queue_size=20), keep_queues=timedelta(0))
    report = run_round(workspace, RoundRequest(project.id))
    store = ProjectStore(tmp_path, project.project.uid)

    manifest = store.manifest(report.version)
    assert manifest.guesses.startswith("no better than guessing: ")
    assert "of 40 answers to tasks left out are right, 20 would be by always saying" in manifest.guesses
    assert any("no better than guessing" in warning for warning in report.warnings)
    assert report.queue.strategy == "typiclust"
    assert {prediction.label for prediction in report.queue.predictions} == {None}

    settings = load_settings(
        label_studio_url=label_studio.url, label_studio_api_key=label_studio.token, model_dir=tmp_path
    )
    tasks = [{"id": task.id, "data": dict(task.data)} for task in TaskCache(store.task_cache_path).tasks()][-5:]
    answers = Predictor(settings, CONFIG, project.project.uid).predict(tasks)
    assert [answer["result"] for answer in answers] == [[]] * 5


def test_a_model_that_knows_something_orders_and_is_shown(make_project, tmp_path):
    project = make_project("known", config=CONFIG)
    rows = [{"data": {"text": text}} for text in np.random.default_rng(4).permutation(TEXTS).tolist()]
    for row in rows[:40]:
        label = "red" if row["data"]["text"].startswith(("The", "An", "Our")) else "blue"
        label = "red" if "river" in row["data"]["text"] or "bridge" in row["data"]["text"] else label
        row["annotations"] = [{"result": project.answer(label if "farmer" not in row["data"]["text"] else "blue")}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    workspace = Workspace(project.client, tmp_path, ProjectSettings(queue_size=20), keep_queues=timedelta(0))
    report = run_round(workspace, RoundRequest(project.id))
    manifest = ProjectStore(tmp_path, project.project.uid).manifest(report.version)
    assert manifest.guessing["guessing"] is False
    assert manifest.guesses == ""
    assert report.queue.strategy == "auto"
    assert {prediction.label for prediction in report.queue.predictions} <= {"red", "blue"}
