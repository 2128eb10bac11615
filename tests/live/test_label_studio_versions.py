"""Each Label Studio that the product is tested with, asked the same: an order that holds, events, guesses, exports."""

import json
from datetime import timedelta

import pytest
from support.bucket import BUCKET, TEXT, bucket, read_all
from support.doctored import NOT_PROVED, installation
from support.installation import annotate, connect, install
from support.label_studio import OLDER, live_label_studio, project_maker
from support.rounds import queued, round_of
from support.scripts import HEADLINES, headlines, run, tasks_of
from support.waiting import until

from ml_backend.cli import create_project, export_annotations, import_tasks
from ml_backend.config import ProjectSettings
from ml_backend.label_studio.client import task_from_row
from ml_backend.label_studio.projects import TESTED_VERSIONS
from ml_backend.rounds.run import Workspace

__all__ = ["bucket", "install", "installation", "run"]
LABELS = ("related", "not related")
WORDS = ("flood in the river", "football match tonight")
SETTINGS = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=6, control_share=0, hyperparameters={"steps": 20}
)


@pytest.fixture(scope="module", params=[*OLDER, None], ids=TESTED_VERSIONS)
def label_studio(request, tmp_path_factory):
    """One after the other; the last is the one that all other tests have."""
    if request.param is None:
        yield request.getfixturevalue("label_studio")
        return
    with live_label_studio(tmp_path_factory, version=request.param) as live:
        yield live


@pytest.fixture(scope="module")
def make_project(label_studio):
    return project_maker(label_studio)


def stories(make_project, labelled=8, in_all=20):
    project = make_project()
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(in_all)]
    for number, row in enumerate(rows[:labelled]):
        row["annotations"] = [{"result": project.answer(LABELS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


def test_it_is_connected_the_doctor_finds_nothing_wrong_and_the_order_is_the_queues(installation):
    found = installation.findings(order=4)
    assert {name: item for name, item in found.items() if item.status != "ok"}.keys() <= NOT_PROVED - {"Order"}
    assert "The next 4 tasks are the queue's" in found["Order"].message


def test_a_project_is_made_and_filled_by_the_commands(run, label_studio, tmp_path):
    said = run(create_project, "--title", "By command", "--config", HEADLINES).stdout
    project = label_studio.client.find_project("By command")
    assert str(project.id) in said
    path = headlines(tmp_path / "a.csv", [("flood in the river", "related"), ("a match", "not related"), ("new", "")])
    run(import_tasks, path, "--project", project.id)
    rows = [row for page in label_studio.client.all_tasks(project.id) for row in page]
    assert [row["data"]["text"] for row in rows] == ["flood in the river", "a match", "new"]
    assert [len(row["annotations"]) for row in rows] == [1, 1, 0]


def test_answers_are_seen_as_they_come_change_and_go(make_project):
    project = make_project(tasks=4)
    client, (first, second, third, _) = project.client, project.task_ids

    def since_then(since):
        return {row["id"]: task_from_row(row) for page in client.changed_tasks(project.id, since) for row in page}

    since = client.newest_update(project.id)
    answers = [client.annotate(task, project.answer("related")) for task in (first, second)]
    client.annotate(third, [], cancelled=True)
    seen = since_then(since)
    assert {task: (row.is_labeled, row.is_skipped) for task, row in seen.items()} == {
        first: (True, False),
        second: (True, False),
        third: (False, True),
    }
    assert seen[first].annotations[0].annotator == client.whoami()["id"]
    since = client.newest_update(project.id)
    client.request("PATCH", f"api/annotations/{answers[0]}/", body={"result": project.answer("not related")})
    client.delete_annotation(answers[1])
    seen = since_then(since)
    assert {task: len(row.annotations) for task, row in seen.items()} == {first: 1, second: 0}


def test_annotating_starts_a_round_by_the_webhook(make_project, install):
    project = stories(make_project, labelled=6)
    product = install(basic_auth_user="studio", basic_auth_pass="päss")
    connect(project, product.url, product.settings)
    annotate(project, 4)
    (first,) = until(lambda: product.rounds(project), "a round")
    assert (first["trigger"], first["labels"]) == ("labels", 10)
    assert project.project.model_version == first["queue"]


def test_guesses_are_shown_exported_and_read_back(make_project, run, tmp_path):
    project = stories(make_project)
    workspace = Workspace(project.client, tmp_path / "versions", SETTINGS, keep_queues=timedelta(0))
    report = round_of(workspace, project.id)
    before = report.queue.name
    ahead, row = queued(report)[0], project.client.next_task(project.id)
    assert row["id"] == ahead, "the next task is the queue's first"
    shown = [guess for guess in row["predictions"] if guess["model_version"] == before]
    assert len(shown) == 1
    assert shown[0]["result"][0]["value"]["choices"][0] in LABELS
    project.client.annotate(ahead, project.answer("related"))
    # The next order takes the place of the one before, whose guesses go.
    after = round_of(workspace, project.id).queue.name
    assert project.project.model_version == after != before
    assert set(project.client.prediction_versions(project.id)) == {after}

    out = tmp_path / "all.json"
    run(export_annotations, "--project", project.id, "--out", out, "--format", "label-studio")
    assert sum(len(row["annotations"]) for row in json.loads(out.read_text(encoding="utf-8"))) == 9
    copy = make_project()
    run(import_tasks, out, "--project", copy.id)
    answered = [row["data"]["text"] for row in tasks_of(project) if row["annotations"]]
    assert [row["data"]["text"] for row in tasks_of(copy) if row["annotations"]] == answered
    assert sorted(labels_of_answered(copy)) == sorted(labels_of_answered(project))


def labels_of_answered(project):
    return [
        row["annotations"][0]["result"][0]["value"]["choices"][0] for row in tasks_of(project) if row["annotations"]
    ]


def test_texts_in_a_bucket_come_through_its_resolver(make_project, bucket):
    bucket.client.put_object(Bucket=BUCKET, Key="ä b/a.txt", Body="Grüße".encode())
    project = make_project(config=TEXT, tasks=[{"text": f"s3://{BUCKET}/ä b/a.txt"}])
    bucket.connect(project, presign=True)
    assert read_all(project) == ["Grüße"]


def test_a_personal_access_token_opens_it(label_studio):
    token = label_studio.personal_access_token(label_studio.create_user().client)
    assert label_studio.new_client(token).whoami()["email"].startswith("annotator-")
