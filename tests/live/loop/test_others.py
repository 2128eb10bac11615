"""Rounds against a real Label Studio: what others do meanwhile, and what stays when something fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from support.rounds import has_warning, queued, round_of

from ml_backend.doctor.order_proof import prove_order
from ml_backend.errors import (
    LabelStudioRejected,
    LabelStudioUnreachable,
    StoreError,
)
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.store.documents import QUESTION


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


class Watched(LabelStudioClient):
    """Tells when somebody has read the project."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.asked = threading.Event()

    def project(self, project_id):
        found = super().project(project_id)
        self.asked.set()
        return found


def test_a_round_that_waited_for_another_reads_the_project_anew(trained, label_studio):
    """Else it goes by what was there before the other one, and says that somebody changed the order."""
    live, _ = trained
    client = Watched(label_studio.url, label_studio.token)
    waiting = replace(live.workspace, client=client)
    with ThreadPoolExecutor() as pool:
        with live.store.lock(timeout=10):
            report = pool.submit(round_of, waiting, live.project.id, patience=60)
            assert client.asked.wait(60)
            live.client.request("PATCH", f"api/projects/{live.project.id}", body={"title": "Another name"})
        assert report.result().published
    client.close()
    assert live.store.document(QUESTION)["title"] == "Another name"


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


def test_a_second_read_reads_only_what_changed(trained, label_studio):
    live, _ = trained
    client = label_studio.new_client(label_studio.token)
    client.settling_time = timedelta(seconds=-2)  # Label Studio tells whole seconds
    live = replace(live, workspace=replace(live.workspace, client=client))
    live.round()
    assert live.round().steps[0].detail == "0 of 8 tasks"
    live.client.annotate(live.ids[4], live.project.answer("related"))
    assert live.round().steps[0].detail == "1 of 8 tasks"


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
