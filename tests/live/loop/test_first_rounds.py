"""Rounds against a real Label Studio: before and with a first model."""

import json

import numpy as np
from support.looped import FAST, WORDS
from support.rounds import has_warning, queued

from ml_backend.draws import draws_for
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.store.project_store import Current


def test_cold_start_is_a_seeded_random_order_and_says_so(live):
    live = live()
    report = live.round()
    has_warning(report, "there are no labels yet")
    has_warning(report, "No trained model yet", "random order, fixed by the seed")
    assert (report.version, report.trained, report.published) == (None, False, True)
    assert report.queue.name == "start.random-0001"
    draws = dict(zip(live.ids, draws_for(np.array(live.ids), FAST.seed), strict=True))
    assert queued(report) == sorted(live.ids, key=lambda task_id: -draws[task_id])[:5]
    assert (live.now.model_version, live.now.sampling) == ("start.random-0001", UNCERTAINTY_SAMPLING)
    assert live.versions == {"start.random-0001": 5}
    served = live.client.next_task(live.project.id)
    assert served["id"] == queued(report)[0]
    assert served["predictions"][0]["result"] == []
    assert queued(live.round()) == queued(report)
    assert queued(live.round(overrides={"seed": 1})) != queued(report)


def test_one_class_alone_cannot_be_trained_on(live):
    live = live()
    live.label("related", "related")
    report = live.round()
    has_warning(report, "all 2 labels are 'related'", "two classes")
    assert report.queue.version is None
    assert set(queued(report)) == set(live.ids[2:])


def test_a_class_without_examples_is_named_and_keeps_its_place(live):
    images = [png_data_uri(np.full((28, 28), 20 * number, np.uint8)) for number in range(6)]
    live = live([{"image": image} for image in images], "mnist")
    live.label("3", "7", "3")
    report = live.round()
    has_warning(report, "No example yet of: 0, 1, 2, 4, 5, 6, 8, 9")
    assert report.label_counts == {"3": 2, "7": 1}
    assert live.store.manifest(report.version).labels == tuple("0123456789")
    assert set(queued(report)) == set(live.ids[3:])


def test_a_pinned_version_of_another_model_reads_pictures_in_its_own_way(live):
    draws = np.random.default_rng(0)
    images = [png_data_uri(draws.integers(0, 256, (28, 28)).astype(np.uint8)) for _ in range(6)]
    live = live([{"image": image} for image in images], "mnist")
    live.label("3", "7", "3")
    digits = live.round()
    said = {item.task_id: (item.label, item.confidence) for item in digits.queue.predictions}
    photos = {"image_model": "photos", "hyperparameters": {}}
    assert live.round(overrides=photos).version.startswith("photos-")
    for request in ({"train": False, "pin": digits.version}, {}):
        pinned = live.round(overrides=photos, **request)
        assert pinned.version == digits.version
        assert {item.task_id: (item.label, item.confidence) for item in pinned.queue.predictions} == said


def test_a_round_trains_stores_and_publishes(trained):
    live, report = trained
    assert (report.trained, report.published, report.open_tasks) == (True, True, 4)
    assert [step.name for step in report.steps] == [
        "read",
        "fit",
        "store",
        "score",
        "rank",
        "import",
        "switch",
        "tidy",
        "measure",
    ]
    assert report.queue.name == f"{report.version}.entropy-0001"
    assert report.version.startswith("headlines-0001-")
    assert live.store.versions() == [report.version]
    assert live.store.current() == Current(report.version, report.queue.name)
    assert live.store.queue(report.queue.name) == report.queue
    assert set(queued(report)) == set(live.ids[4:])
    scores = [prediction.score for prediction in report.queue.predictions]
    assert scores == sorted(set(scores))
    served = live.client.next_task(live.project.id)
    (prediction,) = served["predictions"]
    first = report.queue.predictions[0]
    assert (served["id"], prediction["score"]) == (first.task_id, first.score)
    assert prediction["result"][0]["value"] == {"choices": [first.label]}


def test_a_second_round_without_news_trains_nothing(trained):
    live, first = trained
    second = live.round()
    assert (second.trained, second.version) == (False, first.version)
    assert "fit" not in [step.name for step in second.steps]
    assert second.queue.predictions == first.queue.predictions
    assert second.replaced == [first.queue.name]
    assert live.versions == {f"{first.version}.entropy-0002": 4}


def test_a_new_label_trains_a_new_version(trained):
    live, _ = trained
    live.client.annotate(live.ids[4], live.project.answer("related"))
    second = live.round()
    assert second.trained
    assert second.version.startswith("headlines-0002-")
    assert live.ids[4] not in queued(second)


def test_without_training_the_stored_version_is_used(trained):
    live, first = trained
    live.client.annotate(live.ids[4], live.project.answer("related"))
    second = live.round(train=False)
    assert (second.trained, second.version) == (False, first.version)


def test_a_deleted_annotation_is_forgotten(live):
    live = live()
    first, *_ = live.label("related", "not related", "related")
    assert live.round().label_counts == {"related": 2, "not related": 1}
    live.client.delete_annotation(first)
    report = live.round()
    assert report.trained
    assert report.label_counts == {"related": 1, "not related": 1}
    assert live.ids[0] in queued(report)


def test_evaluation_tasks_measure_and_are_never_asked_or_trained_on(live):
    rows = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(8)]
    live = live([row | {"split": "evaluation"} for row in rows[:3]] + rows[3:])
    live.label("related", "not related", None, "not related", "related")
    report = live.round()
    assert report.metrics["n"] == 2
    assert report.label_counts == {"related": 1, "not related": 1}
    assert set(queued(report)) == set(live.ids[5:])
    assert live.store.manifest(report.version).metrics == json.loads(json.dumps(report.metrics))


def test_nothing_measured_is_said(trained):
    has_warning(trained[1], "Nothing is measured", "none is held out: lsal import --evaluation")
