"""Rounds against a real Label Studio: settings, odd tasks and odd answers."""

import numpy as np
import pytest
from support.rounds import has_warning, queued

from ml_backend.config import Settings
from ml_backend.errors import (
    AcquisitionError,
    ConfigurationError,
)
from ml_backend.importing.image_files import png_data_uri
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.predictor import Predictor
from ml_backend.store.project_store import Current


def test_another_strategy_for_one_round(trained):
    live, first = trained
    report = live.round(overrides={"strategy": "bald"})
    assert report.queue.name == f"{first.version}.bald-0002"
    assert (report.queue.samples, report.trained) == (4, False)
    assert live.round().queue.name == f"{first.version}.entropy-0003"


def test_a_mixture_is_served_and_each_task_keeps_the_name_of_its_part(trained, tmp_path):
    live, _ = trained
    report = live.round(overrides={"strategy": "entropy:0.5,k_center:0.25,novelty:0.25", "queue_size": 3})
    assert report.queue.name == f"{report.version}.mix-0002"
    stored = live.store.queue(report.queue.name)
    assert {p.picked_by for p in stored.predictions} == {"entropy", "k_center", "novelty"}
    assert (stored.strategy, stored.samples) == ("entropy:0.5,k_center:0.25,novelty:0.25", 1)
    assert live.client.next_task(live.project.id)["id"] == queued(report)[0]
    # The mixture ranks the whole pool: a task by itself gets the stand-in's score, behind the queue.
    backend = Predictor(Settings(model_dir=tmp_path), live.now.label_config, live.now.uid)
    rows = [{"id": task.id, "data": task.data} for task in TaskCache(live.store.task_cache_path).tasks()]
    served = {row["id"]: answer["score"] for row, answer in zip(rows, backend.predict(rows), strict=True)}
    assert [served[task] for task in queued(report)] == [p.score for p in stored.predictions]
    assert all(score > stored.predictions[-1].score for task, score in served.items() if task not in queued(report))


def test_a_strategy_that_needs_no_model_orders_the_first_queue(live):
    live = live()
    report = live.round(overrides={"strategy": "typiclust"})
    has_warning(report, "No trained model yet", "queued by typiclust, which needs none")
    assert report.queue.name == "start.typiclust-0001"
    assert [p.picked_by for p in report.queue.predictions] == ["typiclust"] * 5


def test_a_strategy_that_lacks_something_stops_the_round_and_leaves_the_order(trained):
    live, before = trained
    with pytest.raises(AcquisitionError, match=r"'atlas' needs evaluation tasks: import some with --evaluation"):
        live.round(overrides={"strategy": "atlas"})
    assert live.now.model_version == before.queue.name


def test_extra_params_of_the_project_and_a_round_above_them(trained):
    live, _ = trained
    live.store.set_extra_params({"strategy": "margin", "queue_size": 2})
    report = live.round()
    assert (report.queue.strategy, len(queued(report))) == ("margin", 2)
    assert live.round(overrides={"strategy": "random"}).queue.strategy == "random"
    live.store.set_extra_params({"strategy": "nonsense"})
    with pytest.raises(ConfigurationError, match=r"Extra params of project \d+ \(Settings > Model\): strategy"):
        live.round()


def test_a_queue_of_the_whole_pool(trained):
    live, _ = trained
    assert len(queued(live.round(overrides={"queue_size": 1}))) == 1
    assert len(queued(live.round(overrides={"queue_size": 1}, whole_pool=True))) == 4


def test_without_prelabels_nothing_is_chosen_for_the_annotator(trained):
    live, _ = trained
    live.round(overrides={"prelabel": False})
    assert live.client.next_task(live.project.id)["predictions"][0]["result"] == []


def test_a_dry_run_writes_nothing(trained):
    live, first = trained
    live.client.annotate(live.ids[4], live.project.answer("related"))
    before = (live.now.model_version, live.versions, live.store.versions(), live.store.current())
    report = live.round(dry_run=True, overrides={"strategy": "margin"})
    assert (report.published, report.trained, report.version) == (False, False, first.version)
    assert report.queue.name == f"{first.version}.margin-0002"
    assert set(queued(report)) == set(live.ids[5:])
    assert (live.now.model_version, live.versions, live.store.versions(), live.store.current()) == before
    assert live.store.next_queue_number() == 2


def test_a_dry_run_of_a_new_project_leaves_it_alone(live):
    live = live()
    assert live.round(dry_run=True).queue.name == "start.random-0001"
    assert (live.now.model_version, live.versions, live.store.current()) == ("", {}, Current())


def test_texts_that_cannot_be_read_are_left_out_and_named(live):
    live = live(8)
    live.label("related", "not related", "related", "not related")
    empty, no_field, labelled = live.ids[4], live.ids[5], live.ids[0]
    for task_id, data in ((empty, {"text": "  "}), (no_field, {"title": "x"}), (labelled, {"text": ""})):
        live.client.request("PATCH", f"api/tasks/{task_id}", body={"data": data})
    report = live.round()
    assert report.left_out == {
        labelled: 'field "text" is empty',
        empty: 'field "text" is empty',
        no_field: 'no field "text" in the task\'s data; fields: title',
    }
    assert (report.trained, report.published) == (True, True)
    assert live.store.manifest(report.version).examples == 3
    assert set(queued(report)) == set(live.ids[6:])


def test_images_that_cannot_be_read_are_left_out_and_named(live):
    good = [{"image": png_data_uri(np.full((28, 28), 40 * number, np.uint8))} for number in range(4)]
    bad = [{"image": value} for value in ("data:image/png;base64,AAAA", "http://[broken", "s3://bucket/x.png")]
    live = live(good + bad, "mnist")
    live.label("3", "7")
    report = live.round()
    assert set(report.left_out) == set(live.ids[4:])
    assert "Not a readable image" in report.left_out[live.ids[4]]
    assert report.left_out[live.ids[6]].startswith("s3://bucket/x.png: Label Studio finds no storage")
    assert set(queued(report)) == set(live.ids[2:4])


def test_answers_outside_the_config_are_reported(live):
    live = live()
    live.label("related", "not related", "maybe", "maybe")
    report = live.round()
    has_warning(report, "does not list", "'maybe' (2)")
    assert report.label_counts == {"related": 1, "not related": 1}
    assert report.trained


def test_a_skipped_task_is_not_asked_again(live):
    live = live()
    live.label("related", "not related")
    live.client.annotate(live.ids[2], [], cancelled=True)
    report = live.round()
    has_warning(report, "1 skipped tasks are left out")
    assert report.label_counts == {"related": 1, "not related": 1}
    assert set(queued(report)) == set(live.ids[3:])


def test_annotators_who_disagree(live, label_studio):
    live = live()
    live.label("related", "not related", "related")
    other, third = label_studio.create_user(), label_studio.create_user()
    other.client.annotate(live.ids[2], live.project.answer("not related"))  # one against one: left out
    other.client.annotate(live.ids[0], live.project.answer("not related"))
    third.client.annotate(live.ids[0], live.project.answer("related"))  # two against one
    live.client.annotate(live.ids[1], live.project.answer("related"))  # the same person again: the newest
    report = live.round()
    assert report.label_counts == {"related": 2}
    has_warning(report, f"1 tasks have tied answers and are left out until another decides: {live.ids[2]}.")


def test_nothing_left_to_ask(live):
    live = live(3)
    live.label("related", "not related")
    first = live.round()
    live.client.annotate(live.ids[2], live.project.answer("related"))
    report = live.round()
    has_warning(report, "No open tasks", "the order is unchanged")
    assert (report.open_tasks, report.queue, report.published) == (0, None, False)
    assert live.now.model_version == first.queue.name


def test_a_project_without_tasks(live):
    report = live([]).round()
    has_warning(report, "The project has no tasks yet", "lsal import FILE")
    assert report.queue is None
