"""Rounds that learn from the pool, against a real Label Studio: from no label at all to a served model."""

import time
from datetime import timedelta

import numpy as np
import pytest
from serving import ServedApp
from test_embeddings import strokes

from ml_backend import project_embedding
from ml_backend.config import ProjectSettings, Settings
from ml_backend.control import CONTROL
from ml_backend.datasets import png_data_uri
from ml_backend.embeddings import PoolEmbedding
from ml_backend.errors import ConfigurationError
from ml_backend.instant import InstantOrder
from ml_backend.instant_file import read
from ml_backend.instant_loop import InstantLoop
from ml_backend.loop import Workspace, run_round
from ml_backend.server import create_app
from ml_backend.store import ProjectStore
from ml_backend.worker import Worker

BARS = ("1", "7")
BARS_INDEX = {"1": 1, "7": 7}
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


@pytest.fixture
def instant(make_project, label_studio, tmp_path):
    """A project of bars after its first round, and a server whose instant loop hears of its answers."""
    project = make_project("mnist")
    images = strokes(260)
    rows = [{"data": {"image": png_data_uri(image)}} for image in images]
    for number, row in enumerate(rows[:12]):
        row["annotations"] = [{"result": project.answer(BARS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    settings = Settings(
        label_studio_url=label_studio.url, label_studio_api_key=label_studio.token, model_dir=tmp_path, poll_seconds=0
    )
    wanted = SETTINGS.override({"control_share": 0.2}, where="test")
    workspace = Workspace(project.client, tmp_path, wanted, keep_queues=timedelta(0))
    loop = InstantLoop(settings)
    server = ServedApp(create_app(settings, rounds=Worker(lambda *_: {}), instant=loop))
    loop.start()
    project.client.create_webhook(project.id, f"{server.url}/webhook", {})
    yield project, workspace, loop, server
    server.close()
    loop.stop()


def told(loop, project, answers):
    """Wait until the loop has taken in so many answers and is done with them; its status."""
    end = time.monotonic() + 60
    while (found := loop.status(project.id))["busy"] or found["answers"] < answers:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def annotate_next(project, kinds, wrong=False):
    """Answer what Label Studio serves next, as the page does; the task."""
    task = project.client.next_task(project.id)["id"]
    label = kinds[task] if not wrong else BARS[1 - BARS.index(kinds[task])]
    project.client.annotate(task, project.answer(label))
    return task, label


def test_the_next_task_knows_the_last_answer(instant):
    project, workspace, loop, _ = instant
    kinds = {task: BARS[number % 2] for number, task in enumerate(project.task_ids)}
    report = run_round(workspace, project.id)
    assert report.instant == "on"
    store = ProjectStore(workspace.root, project.project.uid)
    published, left = report.queue, read(store.folder)
    order, places = InstantOrder(left.graph), {task: i for i, task in enumerate(left.task_ids.tolist())}
    by_place = [row.picked_by for row in published.predictions]
    asked = []
    for turn in range(12):
        # People who err surprise the loop: what it prepared is then wrong.
        task, label = annotate_next(project, kinds, wrong=turn % 3 == 2)
        order.answer(places[task], BARS_INDEX[label])
        asked.append(task)
        told(loop, project, turn + 1)
        if by_place[turn + 1] == CONTROL:
            assert project.client.next_task(project.id)["id"] == published.predictions[turn + 1].task_id
            continue
        movable = [row.task_id for row in published.predictions if row.picked_by == "auto" and row.task_id not in asked]
        among = np.isin(left.task_ids, movable)
        assert project.client.next_task(project.id)["id"] == left.task_ids[order.front(1, among)[0]]
    print(loop.status(project.id), [r.picked_by for r in store.queue(published.name).predictions])
    assert loop.status(project.id)["moved"] > 0
