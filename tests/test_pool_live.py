"""Rounds that learn from the pool, against a real Label Studio: from no label at all to a served model."""

from datetime import timedelta

import numpy as np
import pytest
from test_embeddings import strokes

from ml_backend import project_embedding
from ml_backend.config import ProjectSettings
from ml_backend.datasets import png_data_uri
from ml_backend.embeddings import PoolEmbedding
from ml_backend.errors import ConfigurationError
from ml_backend.loop import Workspace, run_round
from ml_backend.store import ProjectStore

SETTINGS = ProjectSettings(queue_size=20, control_share=0, hyperparameters={"steps": 30})


@pytest.fixture(scope="module")
def bars(make_project):
    """230 images of bars in a project for digits; upright ones are a 1, others a 7."""
    images = strokes(230)
    project = make_project("mnist", [{"image": png_data_uri(image)} for image in images])
    kinds = dict(zip(project.task_ids, ["1" if number % 2 == 0 else "7" for number in range(230)], strict=True))
    return project, kinds


def steps_of(report):
    return [step.name for step in report.steps]


def test_from_no_label_to_a_model_of_the_whole_pool(bars, tmp_path, monkeypatch):
    project, kinds = bars
    workspace = Workspace(project.client, tmp_path, SETTINGS, keep_queues=timedelta(0))
    monkeypatch.setattr(project_embedding, "AT_ONCE", 100)

    first = run_round(workspace, project.id)
    store = ProjectStore(tmp_path, project.project.uid)
    assert steps_of(first).count("switch") == 2, "an order stands while the embedding is learnt, then a better one"
    assert steps_of(first).index("switch") < steps_of(first).index("embed")
    assert first.queue.name == "start.auto-0002"
    assert "until there are 8 labels (0 now)" in first.choice
    assert "raw features" not in first.choice
    assert {kinds[p.task_id] for p in first.queue.predictions[:8]} == {"1", "7"}
    kept = PoolEmbedding.load(store.folder / project_embedding.FILE)
    assert len(kept) == 230

    for prediction in first.queue.predictions[:8]:
        project.client.annotate(prediction.task_id, project.answer(kinds[prediction.task_id]))
    second = run_round(workspace, project.id)
    assert "embed" not in steps_of(second)
    assert steps_of(second).count("switch") == 1
    assert second.learnt_from.startswith("learnt from the 222 items of the pool")
    manifest = store.manifest(second.version)
    assert (manifest.learnt_from, manifest.examples) == ("pool", 8)
    assert "between the classes" in second.choice
    guesses = [kinds[p.task_id] == p.label for p in second.queue.predictions]
    assert np.mean(guesses) > 0.8, "eight labels, and the rest is known"
    assert project.client.next_task(project.id)["id"] == second.queue.predictions[0].task_id

    later = [{"data": {"image": png_data_uri(image)}} for image in strokes(232)[230:]]
    project.client.import_tasks(project.id, later)
    third = run_round(workspace, project.id)
    assert (third.trained, "embed" in steps_of(third)) == (False, True), "an import is no reason to train"
    assert len(PoolEmbedding.load(store.folder / project_embedding.FILE)) == 232

    (store.folder / project_embedding.FILE).write_bytes(b"half a file")
    assert "embed" in steps_of(run_round(workspace, project.id)), "a damaged one is computed again"

    plain = run_round(workspace, project.id, overrides={"learn_from_pool": False})
    assert store.manifest(plain.version).learnt_from == "labels"


def test_shares_of_labels_that_are_not_there_are_refused(bars, tmp_path):
    """A misspelt label would silently never be expected."""
    project, _ = bars
    workspace = Workspace(project.client, tmp_path, SETTINGS)
    before = project.project.model_version
    with pytest.raises(
        ConfigurationError, match="class_shares names 'one'; name each label of the labeling config once"
    ):
        run_round(workspace, project.id, overrides={"class_shares": {"one": 1.0}})
    assert project.project.model_version == before, "the old order stands"
