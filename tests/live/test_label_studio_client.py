"""Facts about Label Studio that the client leans on, checked against a real one."""

import functools
import json
from datetime import UTC, datetime
from threading import Event

import pytest
from processes import free_port

from ml_backend.errors import (
    LabelStudioRejected,
)
from ml_backend.label_studio.answers import label_of, result_for
from ml_backend.label_studio.client import TIME_FORMAT, UNCERTAINTY_SAMPLING, task_from_row

LONG_AGO = "2000-01-01T00:00:00.000000Z"
MISSING_PROJECT = 987_654
SECRET = "0123456789abcdef0123456789abcdef01234567"


def predictions(project, scores, version="model-0001.entropy-0001"):
    return [
        {"task": task, "result": result_for("related", 0.9, project.question), "score": score, "model_version": version}
        for task, score in zip(project.task_ids, scores, strict=True)
    ]


def newest(project):
    times = [row["updated_at"] for page in project.client.changed_tasks(project.id, LONG_AGO) for row in page]
    return max(datetime.fromisoformat(text) for text in times).astimezone(UTC).strftime(TIME_FORMAT)


def changed(project, since):
    return [row["id"] for page in project.client.changed_tasks(project.id, since) for row in page]


# --- incremental reads -------------------------------------------------------------------------------------------


def test_new_tasks_are_seen(make_project):
    project = make_project(tasks=3)
    since = newest(project)
    assert changed(project, since) == []
    new = project.client.import_tasks(project.id, [{"data": {"text": "late"}}])
    assert changed(project, since) == new


def test_an_edited_task_is_seen_with_its_new_data(make_project):
    project = make_project(tasks=3)
    since = newest(project)
    edited = project.task_ids[1]
    project.client.request("PATCH", f"api/tasks/{edited}", body={"data": {"text": "corrected"}})
    (page,) = project.client.changed_tasks(project.id, since)
    assert [(row["id"], row["data"]) for row in page] == [(edited, {"text": "corrected"})]


def test_an_annotation_is_seen_when_created_updated_and_deleted(make_project):
    project = make_project(tasks=3)
    client, task = project.client, project.task_ids[2]

    since = newest(project)
    annotation = client.annotate(task, project.answer("related"))
    (page,) = client.changed_tasks(project.id, since)
    (seen,) = map(task_from_row, page)
    assert (seen.id, seen.is_labeled, [a.id for a in seen.annotations]) == (task, True, [annotation])
    assert seen.annotations[0].annotator == client.whoami()["id"]

    since = newest(project)
    client.request("PATCH", f"api/annotations/{annotation}/", body={"result": project.answer("not related")})
    (page,) = client.changed_tasks(project.id, since)
    (seen,) = map(task_from_row, page)
    assert label_of(seen.annotations[0].result, project.question) == "not related"

    since = newest(project)
    client.delete_annotation(annotation)
    (page,) = client.changed_tasks(project.id, since)
    (seen,) = map(task_from_row, page)
    assert (seen.id, seen.is_labeled, seen.annotations) == (task, False, ())


def test_a_skipped_task_is_seen_as_skipped(make_project):
    project = make_project(tasks=2)
    since = newest(project)
    project.client.annotate(project.task_ids[0], [], cancelled=True)
    (page,) = project.client.changed_tasks(project.id, since)
    assert [task_from_row(row).is_skipped for row in page] == [True]


def test_publishing_predictions_is_no_change(make_project):
    project = make_project(tasks=3)
    since = newest(project)
    project.client.import_predictions(project.id, predictions(project, [0.1, 0.2, 0.3]))
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    assert changed(project, since) == []
    project.client.delete_version(project.id, "model-0001.entropy-0001")
    assert changed(project, since) == []


def test_reading_from_newest_change_misses_nothing_that_follows(make_project):
    project = make_project(tasks=2)
    since = project.client.newest_change(project.id)
    project.client.annotate(project.task_ids[0], project.answer("related"))
    assert project.task_ids[0] in changed(project, since)


def test_an_empty_project_has_an_early_newest_change_and_no_tasks(make_project):
    project = make_project()
    since = project.client.newest_change(project.id)
    assert changed(project, since) == []
    assert project.client.task_ids(project.id) == set()
    assert project.client.next_task(project.id) is None
    (new,) = project.client.import_tasks(project.id, [{"data": {"text": "first"}}])
    assert changed(project, since) == [new]


@pytest.mark.parametrize("count", [2, 5, 6])
def test_pages_follow_each_other_without_gap_or_double(make_project, label_studio, count):
    client = label_studio.new_client(label_studio.token)
    client.page_size = 2
    project = make_project(tasks=count, client=client)
    assert [row["id"] for page in client.all_tasks(project.id) for row in page] == project.task_ids
    assert sorted(changed(project, LONG_AGO)) == project.task_ids
    assert client.task_ids(project.id) == set(project.task_ids)


def test_imported_tasks_come_back_as_they_were_in_the_order_of_their_ids(make_project):
    data = [{"text": f"{number} ü 漢 <b> $x", "nested": {"a": [1, None]}} for number in range(5)]
    project = make_project(tasks=data)
    (page,) = project.client.all_tasks(project.id)
    assert [(row["id"], row["data"]) for row in page] == list(zip(project.task_ids, data, strict=True))


def test_imported_annotations_make_a_task_labeled(make_project):
    project = make_project()
    row = {"data": {"text": "known"}, "annotations": [{"result": project.answer("related")}]}
    project.client.import_tasks(project.id, [row])
    (page,) = project.client.all_tasks(project.id)
    task = task_from_row(page[0])
    assert task.is_labeled
    assert label_of(task.annotations[0].result, project.question) == "related"
    assert project.project.annotation_count == 1


# --- predictions and order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flaw", [{"score": 1.5}, {"score": -0.1}, {"result": [{"from_name": "nobody", "to_name": "headline"}]}]
)
def test_a_prediction_that_label_studio_drops_in_silence_is_an_error(make_project, flaw):
    project = make_project(tasks=2)
    rows = predictions(project, [0.1, 0.2])
    rows[1] |= flaw if "score" in flaw else {"result": [rows[1]["result"][0] | flaw["result"][0]]}
    with pytest.raises(LabelStudioRejected, match="took 1 of 2 predictions"):
        project.client.import_predictions(project.id, rows)


def test_the_order_served_is_the_order_of_scores(make_project):
    project = make_project(tasks=6)
    scores = [0.5, 0.1, 0.9, 0.0, 1.0, 0.3]
    project.client.import_predictions(project.id, predictions(project, scores))
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    served = []
    while row := project.client.next_task(project.id):
        served.append(row["id"])
        project.client.annotate(row["id"], project.answer("related"))
    assert served == [task for _, task in sorted(zip(scores, project.task_ids, strict=True))]
    assert project.client.next_task(project.id) is None


def test_the_queue_that_is_served_decides_not_an_older_one(make_project):
    project = make_project(tasks=3)
    client = project.client
    client.import_predictions(project.id, predictions(project, [0.1, 0.2, 0.3], "a.entropy-0001"))
    client.import_predictions(project.id, predictions(project, [0.3, 0.2, 0.1], "a.entropy-0002"))
    client.serve_version(project.id, "a.entropy-0002")
    assert project.project.model_version == "a.entropy-0002"
    assert client.next_task(project.id)["id"] == project.task_ids[2]


def test_tasks_outside_the_queue_come_after_it(make_project):
    project = make_project(tasks=4)
    queued = predictions(project, [0.1, 0.9, 0.9, 0.9])[:1]
    project.client.import_predictions(project.id, queued)
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    served = []
    while row := project.client.next_task(project.id):
        served.append(row["id"])
        project.client.annotate(row["id"], project.answer("related"))
    assert served[0] == project.task_ids[0]
    assert sorted(served) == project.task_ids


def test_two_annotators_get_two_tasks(make_project, label_studio):
    project = make_project(tasks=3)
    project.client.import_predictions(project.id, predictions(project, [0.1, 0.2, 0.3]))
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    other = label_studio.create_user().client
    assert project.client.next_task(project.id)["id"] == project.task_ids[0]
    assert other.next_task(project.id)["id"] == project.task_ids[1]
    assert project.client.next_task(project.id)["id"] == project.task_ids[0]  # its own lock


def test_only_a_version_that_has_predictions_can_be_served(make_project):
    project = make_project(tasks=1)
    with pytest.raises(LabelStudioRejected, match="400"):
        project.client.serve_version(project.id, "nothing-0001")


def test_serving_a_version_puts_sampling_right_again(make_project):
    project = make_project(tasks=1)
    assert project.project.sampling == UNCERTAINTY_SAMPLING
    project.client.request("PATCH", f"api/projects/{project.id}", body={"sampling": "Sequential sampling"})
    assert project.project.sampling != UNCERTAINTY_SAMPLING
    project.client.import_predictions(project.id, predictions(project, [0.5]))
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    assert project.project.sampling == UNCERTAINTY_SAMPLING


def test_a_deleted_version_is_gone_and_the_others_stay(make_project):
    project = make_project(tasks=3)
    client = project.client
    client.import_predictions(project.id, predictions(project, [0.1, 0.2, 0.3], "a.entropy-0001"))
    client.import_predictions(project.id, predictions(project, [0.3, 0.2, 0.1], "a.entropy-0002"))
    client.serve_version(project.id, "a.entropy-0002")
    assert client.prediction_versions(project.id) == {"a.entropy-0001": 3, "a.entropy-0002": 3}
    client.delete_version(project.id, "a.entropy-0001")
    assert client.prediction_versions(project.id) == {"a.entropy-0002": 3}
    assert project.project.model_version == "a.entropy-0002"


def test_an_annotation_keeps_the_prediction_it_was_shown_with(make_project):
    project = make_project(tasks=1)
    project.client.import_predictions(project.id, predictions(project, [0.25]))
    project.client.serve_version(project.id, "model-0001.entropy-0001")
    project.client.annotate(project.task_ids[0], project.answer("related"))
    project.client.delete_version(project.id, "model-0001.entropy-0001")
    (task,) = project.client.export(project.id)
    shown = task["annotations"][0]["prediction"]
    assert (shown["model_version"], shown["score"]) == ("model-0001.entropy-0001", 0.25)


def test_a_tab_is_made_once_and_put_right_when_changed(make_project):
    project = make_project(tasks=1)
    wanted = {"ordering": ["tasks:predictions_score"], "columnsWidth": {}}
    ensure = functools.partial(project.client.ensure_tab, columns=("id", "data.text"))
    assert ensure(project.id, "Next up", wanted)
    assert not ensure(project.id, "Next up", wanted)
    assert ensure(project.id, "Next up", {"ordering": ["-tasks:predictions_score"]})
    tabs = project.client.request("GET", "api/dm/views", params={"project": project.id}).json()
    assert [tab["data"]["title"] for tab in tabs] == ["Default", "Next up"]
    assert tabs[1]["data"]["ordering"] == ["-tasks:predictions_score"]
    hidden = [set(tab["data"]["hiddenColumns"]["explore"]) for tab in tabs]
    assert "tasks:inner_id" in hidden[0]
    assert "tasks:total_annotations" in hidden[1] - hidden[0]
    assert not {"tasks:id", "tasks:data.text"} & (hidden[0] | hidden[1])


# --- projects and backends -------------------------------------------------------------------------------------------


def test_a_project_is_found_by_its_whole_title_only(make_project):
    first = make_project(title="Digits of today")
    make_project(title="Digits of today")
    found = first.client.find_project("Digits of today")
    assert found is not None
    assert found.id == first.id
    assert found.uid.startswith(f"{first.id}.")
    assert first.client.find_project("Digits of") is None


def backend_answer(call):
    return 200, "application/json", json.dumps({"status": "UP", "model_class": "test", "model_version": "v"}).encode()


def test_connecting_a_backend_makes_its_webhook_once(make_project, local_server):
    project = make_project()
    asked_again = Event()

    def answer(call):
        if call.path == "/setup" and not asked_again.is_set():
            if sum(each.path == "/setup" for each in server.calls) > 1:
                asked_again.set()
            asked_again.wait(60)  # longer than Label Studio does: it gives up, and must be asked again
        return backend_answer(call)

    server = local_server(answer)
    for _ in range(2):
        project.client.connect_backend(project.id, server.url, title="AL", user="ls", password="pass-word")
    (backend,) = project.client.backends(project.id)
    assert backend["url"] == server.url
    hooks = project.client.request("GET", "api/webhooks/", params={"project": project.id}).json()
    assert [(hook["url"], hook["send_for_all_actions"]) for hook in hooks] == [(f"{server.url}/webhook", True)]
    health = next(call for call in server.calls if call.path == "/health")
    assert health.headers["Authorization"].startswith("Basic ")
    assert project.project.model_version == "AL"  # so a queue must always switch it


def test_a_backend_that_cannot_be_reached_is_refused(make_project):
    project = make_project()
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LabelStudioRejected, match="health check failed"):
        project.client.connect_backend(project.id, url, title="AL")
