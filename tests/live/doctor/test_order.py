"""The doctor, and what may be wrong with the order."""

import pytest
from support.connected import TITLE

from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import examine, mend
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.publishing import TAB_TITLE


def test_another_sampling(installation):
    installation.patch(sampling="Sequential sampling")
    found = installation.only("Sampling", "error")
    assert '"Sequential sampling"' in found.message
    assert "--fix" in found.remedy
    assert installation.mended().keys() == {"Sampling"}
    assert installation.project.project.sampling == UNCERTAINTY_SAMPLING


def test_another_served_version(installation):
    installation.patch(model_version=TITLE)  # what connecting a backend does
    found = installation.wrong()
    assert found.keys() == {"Served version", "Versions without predictions"}
    assert f"{TITLE}, but the store's queue is" in found["Served version"].message
    assert found["Served version"].fixable
    queue = installation.store.current().queue
    assert installation.mended() == {"Served version": f"Label Studio serves {queue} again."}


def test_the_served_versions_predictions_are_gone(installation):
    queue = installation.store.current().queue
    installation.client.delete_version(installation.project.id, queue)
    found = installation.findings()["Served version"]
    assert found.status == "error"
    assert not found.fixable
    assert "lsal sync" in found.remedy
    installation.round()
    assert installation.wrong() == {}


def test_an_older_store_than_what_is_served_is_not_rolled_back(installation):
    old = installation.store.current()
    installation.round(overrides={"strategy": "margin"})
    newer = installation.project.project.model_version
    installation.store.set_current(old)
    found = installation.findings()["Served version"]
    assert found.status == "error"
    assert not found.fixable
    assert "MODEL_DIR" in found.remedy
    with installation.context() as context:
        findings = list(examine(context, CHECKS))
    with installation.context() as context:
        assert not any(item.done for item in mend(context, findings, CHECKS) if item.name == "Left-over versions")
    assert newer in installation.client.prediction_versions(installation.project.id)


def test_left_over_versions_are_deleted_and_other_peoples_are_not(installation):
    task = installation.project.task_ids[-1]
    ours = "start.random-0099"
    rows = [{"task": task, "result": [], "score": 0.5, "model_version": name} for name in (ours, "their-model")]
    installation.client.import_predictions(installation.project.id, rows)
    found = installation.only("Left-over versions", "warning")
    assert ours in found.message
    assert "their-model" not in found.message
    with installation.store.lock(), installation.context() as context:  # a round is publishing: not now
        (refused,) = mend(context, [found], CHECKS)
    assert not refused.done
    assert installation.mended() == {"Left-over versions": f"Deleted {ours}."}
    left = installation.client.prediction_versions(installation.project.id)
    assert left.keys() == {"their-model", installation.store.current().queue}
    assert installation.findings()["Left-over versions"].message == "None. Not touched: 1 of other origin."


@pytest.mark.parametrize(("score", "words"), [(None, "1 of 7 have none"), (1.5, "1 of 7 are outside 0 to 1")])
def test_scores_that_spoil_the_order(installation, score, words):
    body = {"task": installation.project.task_ids[-1], "result": [], "score": score}
    body |= {"model_version": installation.store.current().queue}
    queued = {item.task_id for item in installation.store.queue(body["model_version"]).predictions}
    body["task"] = next(task for task in installation.project.task_ids[10:] if task not in queued)
    installation.client.request("POST", "api/predictions", body=body)
    found = installation.only("Scores", "error")
    assert words in found.message
    assert "lsal sync" in found.remedy


def test_a_prediction_twice(installation):
    queue = installation.store.queue(installation.store.current().queue)
    row = {"task": queue.predictions[0].task_id, "result": [], "score": 0.9, "model_version": queue.name}
    installation.client.import_predictions(installation.project.id, [row])
    assert "1 tasks have two" in installation.only("Scores", "warning").message


def test_a_used_up_queue(installation):
    for item in installation.store.queue(installation.store.current().queue).predictions:
        installation.client.annotate(item.task_id, installation.project.answer("related"))
    found = installation.only("Coverage", "error")
    assert "The order is used up: 0 of 8 open tasks" in found.message
    assert "lsal sync" in found.remedy
    assert installation.findings(order=2)["Order"].status == "skipped"


def test_predictions_that_were_deleted_by_hand(installation):
    row = installation.client.predictions(installation.project.id)[0]
    installation.client.request("DELETE", f"api/predictions/{row['id']}/")
    assert "1 lost their prediction" in installation.only("Coverage", "warning").message


def test_a_deleted_tab_comes_back(installation):
    for row in installation.client.tabs(installation.project.id):
        if row["data"]["title"] == TAB_TITLE:
            installation.client.request("DELETE", f"api/dm/views/{row['id']}")
    installation.only("Data Manager tab", "warning")
    assert installation.mended().keys() == {"Data Manager tab"}


def test_notes_on_overlap_and_evaluation(installation):
    installation.patch(maximum_annotations=2)
    found = installation.wrong()
    assert found["Annotations per task"].status == "warning"
    assert "half-done" in found["Annotations per task"].message
    installation.patch(maximum_annotations=1)
    for task in installation.project.task_ids[:2]:
        installation.client.request("DELETE", f"api/tasks/{task}/")
    assert "--evaluation" in installation.only("Evaluation tasks", "warning").remedy
