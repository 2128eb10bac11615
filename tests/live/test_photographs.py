"""A project of photographs against a real Label Studio: seen by the pretrained encoder, read once, kept small."""

from __future__ import annotations

import base64
from datetime import timedelta

import numpy as np
import pytest
from bench.shapes import coloured_shapes

from ml_backend.config import ProjectSettings, load_settings
from ml_backend.encoders import feature_store, picture_vectors
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.predictor import Predictor
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <Choices name="shape" toName="image">
    <Choice value="square"/><Choice value="circle"/><Choice value="triangle"/>
  </Choices>
</View>"""
COUNT = 240


SETS = {"square": ("square", "angular"), "circle": ("circle",), "triangle": ("triangle", "angular")}
"""What a picture of each kind is, where several choices may be made."""


@pytest.fixture(scope="module")
def pictures():
    """240 colour pictures of three shapes, as data URIs, and their kinds."""
    raws, kinds = coloured_shapes(COUNT)
    return ["data:image/jpeg;base64," + base64.b64encode(raw).decode() for raw in raws], kinds


@pytest.fixture(scope="module")
def shapes(make_project, pictures):
    """The pictures, nothing labelled."""
    uris, kinds = pictures
    project = make_project("shapes", [{"image": uri} for uri in uris], config=CONFIG)
    return project, dict(zip(project.task_ids, kinds, strict=True))


@pytest.fixture
def features(tmp_path):
    before = feature_store.kept()
    feature_store.use(tmp_path)
    yield tmp_path / feature_store.FOLDER
    feature_store._Kept.store = before


def steps_of(report):
    return [step.name for step in report.steps]


def test_from_no_label_to_a_model_of_photographs(shapes, label_studio, tmp_path, features):
    project, kinds = shapes
    workspace = Workspace(project.client, tmp_path, ProjectSettings(queue_size=24), keep_queues=timedelta(0))

    first = run_round(workspace, RoundRequest(project.id), RunOptions(at_once=50))
    assert first.encoder_choice.startswith("photos (efficientnet_lite0_lite1): ")
    assert "in colour" in first.encoder_choice
    assert [s.detail for s in first.steps if s.name == "embed"] == ["50 items by photos", f"{COUNT} items by photos"]
    assert len(first.queue.predictions) == 24

    for prediction in first.queue.predictions:
        project.client.annotate(prediction.task_id, project.answer(kinds[prediction.task_id]))
    earlier = Workspace(
        project.client,
        tmp_path,
        ProjectSettings(queue_size=24, image_model="photos", hyperparameters={"encoder": picture_vectors.LITE0}),
        keep_queues=timedelta(0),
    )
    before = run_round(earlier, RoundRequest(project.id))
    second = run_round(workspace, RoundRequest(project.id))
    assert second.version != before.version, "vectors of other networks, by the same labels"
    assert [s.detail for s in second.steps if s.name == "embed"] == [f"{COUNT} items by photos"], "none are mixed"
    assert "read content" not in steps_of(second), "what the first round read is kept"
    assert "24 labels" in second.encoder_choice
    store = ProjectStore(tmp_path, project.project.uid)
    manifest = store.manifest(second.version)
    assert (manifest.model, manifest.config["encoder"]) == ("photos", "efficientnet_lite0_lite1")
    assert np.mean([kinds[p.task_id] == p.label for p in second.queue.predictions]) > 0.6
    assert sum(path.stat().st_size for path in features.iterdir()) < 2 * COUNT * 4_000, "of two encoders"

    settings = load_settings(
        label_studio_url=label_studio.url, label_studio_api_key=label_studio.token, model_dir=tmp_path
    )
    known = {task.id: task for task in TaskCache(store.task_cache_path).tasks()}
    rows = [{"id": p.task_id, "data": dict(known[p.task_id].data)} for p in second.queue.predictions[:3]]
    answers = Predictor(settings, CONFIG, project.project.uid).predict(rows)
    shown = [answer["result"][0]["value"]["choices"][0] for answer in answers if answer["result"]]
    expected = [p.label for p in second.queue.predictions[:3] if p.picked_by != "control"]
    assert shown == expected

    again = run_round(workspace, RoundRequest(project.id, train=False, pin=before.version))
    assert again.version == before.version
    right = np.mean([kinds[p.task_id] == p.label for p in again.queue.predictions])
    assert right > 0.6, "a version sees through its own encoder, though others are read through a newer one"


def test_the_image_model_can_be_set_by_hand(shapes, tmp_path, features):
    project, _ = shapes
    workspace = Workspace(project.client, tmp_path, ProjectSettings(image_model="mnist_cnn"))
    report = run_round(workspace, RoundRequest(project.id, train=False), RunOptions(dry_run=True))
    assert report.encoder_choice == ""
    assert [path.name for path in features.iterdir()] == ["contents.sqlite", "grey-28.sqlite"]


def test_photographs_with_several_labels(pictures, make_project, tmp_path, features):
    choices = CONFIG.replace('toName="image"', 'toName="image" choice="multiple"')
    config = choices.replace("</Choices>", '<Choice value="angular"/></Choices>')
    uris, kinds = (part[:60] for part in pictures)
    project = make_project("sets", [{"image": uri} for uri in uris], config=config)
    for task, kind in zip(project.task_ids[:40], kinds, strict=False):
        project.client.annotate(task, annotation_result(pack(SETS[kind], project.question.labels), project.question))
    settings = ProjectSettings(image_model="photos", queue_size=20, control_share=0, map=False)
    report = run_round(Workspace(project.client, tmp_path, settings), RoundRequest(project.id))
    assert report.label_counts["angular"] == sum("angular" in SETS[kind] for kind in kinds[:40])
    known = dict(zip(project.task_ids, kinds, strict=True))
    right = [set(unpack(p.label)) == set(SETS[known[p.task_id]]) for p in report.queue.predictions]
    assert len(right) == 20
    assert np.mean(right) > 0.5
