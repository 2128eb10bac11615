"""A store that was written before the folders of today are read as it was then, and goes on.

``tests/data/store-238937d.tar.xz`` was written by that commit's code, in a project of headlines and one of digits;
``store-238937d.json`` holds what the same code read in it.
"""

import json
import tarfile
from dataclasses import asdict, replace

import numpy as np
import pytest
from support.places import REPOSITORY

from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds.log import last_seen, rounds
from ml_backend.rounds.measures import stored
from ml_backend.store import instant_graph, query_log, queue_overrides
from ml_backend.store.library import ModelLibrary
from ml_backend.store.project_store import Current
from ml_backend.store.registry import StoreRegistry

BEFORE = REPOSITORY / "tests" / "data" / "store-238937d.tar.xz"
EXPECTED = json.loads(BEFORE.with_name("store-238937d.json").read_text())
PROJECTS = {1: ("text", "Text"), 2: ("image", "Image")}
"""Project → the field and the tag of its question."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    root = tmp_path_factory.mktemp("before")
    with tarfile.open(BEFORE) as archive:
        archive.extractall(root, filter="data")
    return StoreRegistry(root)


@pytest.fixture(params=PROJECTS, ids=["headlines", "digits"])
def project(request):
    return request.param


@pytest.fixture
def store(registry, project):
    return registry.open(project)


@pytest.fixture
def expected(project):
    return EXPECTED[str(project)]


def test_every_project_is_known(registry):
    assert {str(number): store.uid for number, store in registry.known().items()} == {
        number: expected["uid"] for number, expected in EXPECTED.items()
    }


def test_versions_and_what_annotators_get(store, expected):
    assert store.versions() == expected["versions"]
    assert store.current() == Current(expected["version"], expected["queue"], store.current().pinned)
    assert store.mapped_versions() == expected["maps"]
    for name in store.versions():
        manifest = store.manifest(name)
        assert manifest.name == name
        assert manifest.config
        judged = store.evaluation_predictions(name)
        assert (judged is None) == (manifest.metrics is None)
        if judged is not None:
            assert np.mean(judged.right) == pytest.approx(manifest.metrics["accuracy"], abs=1e-6)
    for name in store.mapped_versions():
        assert len(store.map(name).task_ids) > 0


def test_the_models_say_what_they_said(store, expected, project):
    field, tag = PROJECTS[project]
    model = ModelLibrary().load(store, expected["version"])
    tasks = [task for task in TaskCache(store.task_cache_path).tasks() if task.id in expected["first_tasks"]]
    items = [model.read_item(MediaReader().read(task, field=field, object_tag=tag)) for task in tasks]
    found = model.probabilities(items).mean(axis=1)
    np.testing.assert_allclose(found, expected["probabilities"], atol=1e-4)


def test_the_order_and_why_each_task_is_in_it(store, expected):
    queue = store.queue(expected["queue"])
    assert [item.task_id for item in queue.predictions] == expected["order"]
    assert [item.picked_by for item in queue.predictions] == expected["picked_by"]
    assert queue.name in store.queues()


def test_tasks_answers_and_what_people_want(store, expected):
    assert sum(1 for _ in TaskCache(store.task_cache_path).tasks()) == expected["tasks"]
    assert len(query_log.recorded(store)) == expected["answers"]
    assert json.loads(json.dumps(asdict(queue_overrides.read(store)))) == expected["wishes"]
    assert dict(store.extra_params()) == expected["extra_params"]


def test_rounds_and_measures(store, expected):
    assert [row["round"] for row in rounds(store)] == expected["rounds"]
    assert stored(store) == expected["measures"]
    assert asdict(last_seen(store)) == expected["seen"] | {
        "answers": "",
        "predictions": "",
    }  # which older rounds did not note


def test_the_instant_graph_goes_with_the_queue_that_it_was_made_for(store, project):
    found = instant_graph.read(store.folder)
    if project == 1:
        assert found is None  # its last round left none
        return
    assert found.queue in store.queues()
    assert len(found.task_ids) == len(found.graph.open)
    assert found.graph.classes == len(found.question.labels)


def test_new_ones_are_written_beside_the_old_ones(store, expected):
    old = store.manifest(expected["version"])
    with store.lock():
        name = store.next_version_name(old.model, "f" * 64)
        number = int(name.split("-")[-2])
        store.write_version(old.model_copy(update={"name": name, "number": number}), store.weights(old.name))
        before = store.queue(expected["queue"])
        queue = replace(before, name=f"{name}.auto-{store.next_queue_number():04d}", version=name)
        store.write_queue(queue)
        store.announce(Current(name, queue.name))
        store.settle(queue.name)
    assert number > old.number
    assert store.versions() == [*expected["versions"], name]
    assert [item.task_id for item in store.queue(queue.name).predictions] == expected["order"]
    assert store.current() == Current(name, queue.name)
    with store.lock():
        store.set_current(Current(expected["version"], expected["queue"]))
        store.delete_version(name)
    assert store.versions() == expected["versions"]
