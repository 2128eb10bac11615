"""Rounds against a real Label Studio: what is queued, what is reported, and what stays when something fails."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from support.rounds import Live, has_warning, queued

from ml_backend.config import ProjectSettings, Settings
from ml_backend.doctor.order_proof import prove_order
from ml_backend.draws import draws_for
from ml_backend.errors import (
    AcquisitionError,
    ConfigurationError,
    LabelStudioRejected,
    LabelStudioUnreachable,
    StoreError,
)
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.image_files import png_data_uri
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.predictor import Predictor
from ml_backend.rounds.run import Workspace
from ml_backend.store.project_store import Current

FAST = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=5, samples=4, control_share=0, hyperparameters={"steps": 10}
)
WORDS = ("flood in the river", "football match tonight")


@pytest.fixture
def live(make_project, tmp_path):
    def make(tasks=6, kind="headlines"):
        if isinstance(tasks, int):
            tasks = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(tasks)]
        project = make_project(kind, tasks)
        return Live(project, Workspace(project.client, tmp_path, FAST, keep_queues=timedelta(0)))

    return make


@pytest.fixture
def trained(live):
    """Eight headlines, four of them labelled, and one round."""
    live = live(8)
    live.label("related", "not related", "related", "not related")
    return live, live.round()


# --- before a first model ----------------------------------------------------------------------------------------


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


# --- a first model -----------------------------------------------------------------------------------------------


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
    has_warning(trained[1], "nothing is measured", '"split": "evaluation"')


# --- settings ----------------------------------------------------------------------------------------------------


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


# --- odd tasks and answers ---------------------------------------------------------------------------------------


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
    assert "s3 URL" in report.left_out[live.ids[6]]
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
    has_warning(report, "No open tasks")
    assert report.queue is None


# --- what others do ----------------------------------------------------------------------------------------------


def test_sampling_and_version_that_somebody_changed_are_set_back_and_reported(trained):
    live, _ = trained
    foreign = {"task": live.ids[4], "result": [], "score": 0.5, "model_version": "my_model"}
    live.client.import_predictions(live.project.id, [foreign])
    changes = {"sampling": "Sequential sampling", "model_version": "my_model"}
    live.client.request("PATCH", f"api/projects/{live.project.id}", body=changes)
    assert (live.now.sampling, live.now.model_version) == ("Sequential sampling", "my_model")
    report = live.round()
    has_warning(report, 'Sampling had been set to "Sequential sampling"', UNCERTAINTY_SAMPLING)
    has_warning(report, 'changed to "my_model"')
    assert (live.now.sampling, live.now.model_version) == (UNCERTAINTY_SAMPLING, report.queue.name)
    assert not any("changed" in warning or "Sampling" in warning for warning in live.round().warnings)


def test_predictions_of_others_are_never_deleted(trained):
    live, _ = trained
    foreign = ["my_model", "my-model.v2-0001", "headlines-0001.entropy-0001", "start-0001", "v1.0-0001"]
    rows = [{"task": live.ids[4], "result": [], "score": 0.5, "model_version": name} for name in foreign]
    live.client.import_predictions(live.project.id, rows)
    last = [live.round() for _ in range(2)][-1]
    assert live.versions == dict.fromkeys(foreign, 1) | {last.queue.name: 4}
    assert last.queue.name.endswith("-0003")  # numbered after our own queues only


def test_a_replaced_order_stays_for_people_who_have_its_tasks_open(trained):
    """Their page sends the prediction's id with the answer; Label Studio refuses the answer if it is gone."""
    live, first = trained
    live.workspace = replace(live.workspace, keep_queues=timedelta(hours=1))
    opened = live.client.next_task(live.project.id)
    second = live.round(overrides={"strategy": "random", "seed": 3})
    assert second.replaced == []
    assert live.versions == {first.queue.name: 4, second.queue.name: 4}
    body = {"result": live.project.answer("related"), "parent_prediction": opened["predictions"][0]["id"]}
    answer = live.client.request("POST", f"api/tasks/{opened['id']}/annotations/", body=body)
    assert answer.status_code == 201

    # Two versions lie side by side: the served order is the new one's all the same.
    third = live.round(overrides={"strategy": "random", "seed": 4})
    proof = prove_order(live.client, live.project.id, third.queue, live.project.question, count=3)
    assert proof.holds, proof.difference()

    live.workspace = replace(live.workspace, keep_queues=timedelta(0))
    assert set(live.round().replaced) == {first.queue.name, second.queue.name, third.queue.name}


def test_our_own_left_overs_are_deleted(trained):
    live, first = trained
    left = ["start.random-0900", "headlines-0007-0123abcd.dropout_entropy-0800"]
    rows = [{"task": live.ids[4], "result": [], "score": 0.5, "model_version": name} for name in left]
    live.client.import_predictions(live.project.id, rows)
    report = live.round()
    assert set(report.replaced) == {*left, first.queue.name}
    assert report.queue.name.endswith("-0901")  # a number is never used twice
    assert live.versions == {report.queue.name: 4}


def test_more_than_one_annotation_per_task_is_pointed_out(trained):
    live, _ = trained
    live.client.request("PATCH", f"api/projects/{live.project.id}", body={"maximum_annotations": 2})
    has_warning(live.round(), "2 annotations per task", "random order")


def test_deleted_tasks_are_noticed(trained):
    live, first = trained
    gone = queued(first)[0]
    live.client.request("DELETE", f"api/tasks/{gone}")
    report = live.round()
    assert report.open_tasks == 3
    assert gone not in queued(report)
    assert gone not in [task.id for task in TaskCache(live.store.task_cache_path).tasks()]


def test_a_second_read_reads_only_what_changed(trained, monkeypatch):
    live, _ = trained
    monkeypatch.setattr(LabelStudioClient, "settling_time", timedelta(seconds=-2))  # Label Studio tells whole seconds
    live.round()
    assert live.round().steps[0].detail == "0 of 8 tasks"
    live.client.annotate(live.ids[4], live.project.answer("related"))
    assert live.round().steps[0].detail == "1 of 8 tasks"


# --- faults ------------------------------------------------------------------------------------------------------


def nothing_taken(client):
    def fail(project_id, rows):
        raise LabelStudioUnreachable("gone")

    return "import_predictions", fail


def half_taken(client):
    original = client.import_predictions

    def fail(project_id, rows):
        original(project_id, rows[: len(rows) // 2])
        raise LabelStudioRejected("Label Studio took 2 of 4")

    return "import_predictions", fail


def no_switch(client):
    def fail(project_id, version):
        raise LabelStudioUnreachable("gone")

    return "serve_version", fail


@pytest.mark.parametrize("fault", [nothing_taken, half_taken, no_switch])
def test_a_failed_publication_leaves_the_old_order(trained, monkeypatch, fault):
    live, first = trained
    before = live.store.current()
    with monkeypatch.context() as patch:
        patch.setattr(live.client, *fault(live.client))
        with pytest.raises((LabelStudioUnreachable, LabelStudioRejected)):
            live.round(overrides={"strategy": "margin"})
    assert live.now.model_version == first.queue.name
    # A switch whose answer is lost may still come: then it must find the whole queue.
    assert sorted(live.versions.values()) == ([4, 4] if fault is no_switch else [4])
    assert live.store.current() == before
    assert live.client.next_task(live.project.id)["id"] == queued(first)[0]
    again = live.round()
    assert again.published
    assert again.queue.name.endswith("-0003")
    assert live.versions == {again.queue.name: 4}


def test_a_task_deleted_while_the_round_runs_fails_whole(trained, monkeypatch):
    live, first = trained
    original = live.client.import_predictions

    def too_late(project_id, rows):
        live.client.request("DELETE", f"api/tasks/{rows[1]['task']}")
        original(project_id, rows)

    with monkeypatch.context() as patch:
        patch.setattr(live.client, "import_predictions", too_late)
        with pytest.raises(LabelStudioRejected):
            live.round()
    assert live.now.model_version == first.queue.name
    assert set(live.versions) == {first.queue.name}
    assert live.round().open_tasks == 3


def test_a_round_of_the_same_project_elsewhere(trained):
    live, first = trained
    with live.store.lock(), pytest.raises(StoreError, match="Another process is working on this project"):
        live.round()
    assert live.now.model_version == first.queue.name


def test_other_choices_than_were_trained_on(trained):
    live, _ = trained
    xml = live.now.label_config.replace(
        '<Choice value="not related"', '<Choice value="unclear"/><Choice value="not related"'
    )
    live.client.request("PATCH", f"api/projects/{live.project.id}", body={"label_config": xml})
    report = live.round(train=False)
    has_warning(report, "choices changed since the last training")
    assert (report.version, report.queue.strategy) == (None, "random")
    assert live.store.manifest(live.round().version).labels == ("related", "unclear", "not related")
