"""Annotators only annotate: rounds start by themselves, behind a real Label Studio."""

import json

from support.installation import QUICK, SOON, annotate, connect
from support.waiting import until
from typer.testing import CliRunner

from ml_backend.cli import sync
from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.label_studio.webhook_secret import HEADER, read_webhook_secret, rotate_webhook_secret
from ml_backend.label_studio.webhooks import ensure_webhook, password_header, renew_headers
from ml_backend.store.project_store import open_project

WORDS = ("flood in the river", "football match tonight")


def nothing_waits(product, project):
    """Whether all that was heard of the project so far is done with."""
    status = product.status(project)
    return (status["labels_waiting"], status["next_round_in"], status["running"]) == (0, None, False)


def headlines(make_project, labelled=6, in_all=30):
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(in_all)]
    for number, row in enumerate(rows[:labelled]):
        row["annotations"] = [{"result": project.answer(("related", "not related")[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


def test_annotating_brings_a_new_model_and_order_by_itself(make_project, install):
    """With basic auth on: the webhook must carry it."""
    project = headlines(make_project, labelled=6)
    product = install(basic_auth_user="studio", basic_auth_pass="päss")
    connect(project, product.url, product.settings)
    annotate(project, 4)
    (first,) = until(lambda: product.rounds(project), "a first round")
    assert first["trigger"] == "labels"
    assert first["labels"] == 10
    assert {"read", "fit", "score", "rank", "store"} <= {step["name"] for step in first["steps"]}
    assert project.project.model_version == first["queue"]
    assert project.client.prediction_versions(project.id)[first["queue"]] == 8

    annotate(project, 4)
    second = until(lambda: product.rounds(project)[1:], "a second round")[0]
    assert second["labels"] == 14
    assert second["version"] != first["version"]
    assert project.project.model_version == second["queue"]

    # One label alone: after the seconds.
    connect(project, product.url, product.settings, train_after_seconds=SOON)
    annotate(project, 1)
    third = until(lambda: product.rounds(project)[2:], "a third round")[0]
    assert (third["trigger"], third["labels"]) == ("time", 15)
    # Publishing a queue starts nothing: Label Studio told of it before its round ended.
    until(lambda: nothing_waits(product, project), "quiet")
    status = product.status(project)
    assert (status["queue"], status["version"]) == (third["queue"], third["version"])
    assert status["last_round"] == third
    annotate(project, 1)
    fourth = until(lambda: product.rounds(project)[3:], "a fourth round")[0]
    assert (fourth["trigger"], fourth["labels"]) == ("time", 16)


def test_without_any_webhook_polling_finds_the_labels_and_not_our_own_queues(make_project, install):
    project = headlines(make_project)
    product = install(poll_seconds=0.5)
    connect(project, product.url, product.settings)
    for hook in project.client.webhooks(project.id):
        project.client.delete_webhook(hook["id"])
    until(lambda: product.rounds(project), "a first round, for the labels that were there")
    annotate(project, 4)
    until(lambda: any(line["labels"] == 10 for line in product.rounds(project)), "a round with the new labels")
    until(lambda: not product.status(project)["running"], "the end of it")
    count = len(product.rounds(project))
    product.looked()
    assert nothing_waits(product, project), "publishing a queue must not look like a change"
    assert len(product.rounds(project)) == count

    # A label taken back and an edited one are changes too.
    open_project(product.settings.model_dir, project.id).set_extra_params(QUICK | {"train_after_seconds": SOON})
    row = next(r for page in project.client.all_tasks(project.id) for r in page if r["annotations"])
    project.client.delete_annotation(row["annotations"][0]["id"])
    until(lambda: product.rounds(project)[-1]["labels"] == 9, "a round without the deleted label")


def test_opening_a_task_is_no_change(make_project, install):
    project = headlines(make_project)
    product = install(poll_seconds=0.5)
    connect(project, product.url, product.settings)
    until(lambda: product.rounds(project), "a first round")
    until(lambda: nothing_waits(product, project), "quiet")
    count = len(product.rounds(project))
    project.client.next_task(project.id)
    product.looked()
    assert nothing_waits(product, project)
    assert len(product.rounds(project)) == count


def test_a_sync_by_hand_is_seen_as_a_round(make_project, install, label_studio, monkeypatch):
    """Pull only: no backend connected, one sync to begin with."""
    project = headlines(make_project)
    product = install(poll_seconds=0.5)
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    monkeypatch.setenv("MODEL_DIR", str(product.settings.model_dir))
    arguments = ["--project", str(project.id), "--train", "--queue", "4"]
    result = CliRunner().invoke(sync.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # A look in the middle of it saw changes: they are none since it ended.
    store = open_project(product.settings.model_dir, project.id)
    store.set_extra_params(QUICK | {"train_after_seconds": SOON})
    product.looked()
    until(lambda: nothing_waits(product, project), "quiet")
    (line,) = product.rounds(project)
    assert line["trigger"] == "sync"
    # Label Studio tells nobody of the next label; it has no webhook.
    assert project.client.webhooks(project.id) == []
    annotate(project, 1)
    assert until(lambda: product.rounds(project)[1:], "a round")[0]["labels"] == 7


def test_a_round_that_fails_is_tried_again_and_succeeds(make_project, install):
    project = headlines(make_project)
    product = install(faults=[StoreError("the disk is full")])
    connect(project, product.url, product.settings)
    annotate(project, 4)
    failed = until(lambda: (s := product.status(project)).get("last_error") and s, "a failed round")
    assert (failed["last_error"], failed["failures"], failed["labels_waiting"]) == ("the disk is full", 1, 4)
    (line,) = until(lambda: product.rounds(project), "the second attempt")
    assert line["labels"] == 10
    until(lambda: product.status(project)["last_error"] is None, "the error is over")
    until(lambda: nothing_waits(product, project), "quiet")
    annotate(project, 4)
    assert until(lambda: product.rounds(project)[1:], "the next round")[0]["labels"] == 14


def test_a_failed_round_is_in_the_log_and_the_old_order_stands(make_project, install, monkeypatch):
    project = headlines(make_project)
    product = install()
    connect(project, product.url, product.settings)
    annotate(project, 4)
    (first,) = until(lambda: product.rounds(project), "a first round")
    refuse = [StoreError("no space")]

    def full(*args, **kwargs):
        if refuse:
            raise refuse.pop()
        return original(*args, **kwargs)

    original = type(open_project(product.settings.model_dir, project.id)).write_version
    monkeypatch.setattr("ml_backend.store.project_store.ProjectStore.write_version", full)
    annotate(project, 4)
    failed = until(lambda: product.rounds(project)[1:], "a failed round")[0]
    assert failed["error"] == "no space"
    assert {"read", "fit"} <= {step["name"] for step in failed["steps"]}
    assert project.project.model_version == first["queue"]
    third = until(lambda: product.rounds(project)[2:], "the next attempt")[0]
    assert (third["error"], third["labels"]) == (None, 14)


def test_a_deleted_project_is_left_alone(make_project, install, caplog):
    project, other = headlines(make_project), headlines(make_project)
    product = install(poll_seconds=0.5)
    for each in (project, other):
        connect(each, product.url, product.settings)
        until(lambda each=each: product.rounds(each), "a first round")
    project.client.request("DELETE", f"api/projects/{project.id}")
    until(lambda: product.status(project)["deleted"], "it is noticed")
    product.looked()  # at the other one
    assert caplog.text.count(f"project {project.id} is deleted") == 1


# --- the webhook itself ------------------------------------------------------------------------------------------


def test_the_webhook_is_one_and_carries_its_own_secret(make_project, local_server, tmp_path):
    """Label Studio itself sends no basic auth to webhooks; the static header really arrives. Any user can read it."""
    project = headlines(make_project, labelled=0, in_all=3)
    server = local_server(lambda call: (200, "application/json", b'{"model_version": "v", "model_class": "m"}'))
    settings = Settings(model_dir=tmp_path, basic_auth_user="studio", basic_auth_pass="päss")
    for _ in range(2):
        body = {"project": project.id, "url": f"{server.url}/webhook", "send_payload": False}
        project.client.request("POST", "api/webhooks/", body=body)
    project.client.create_webhook(project.id, "http://127.0.0.1:9/other", {"X-Mine": "1"})
    ensure_webhook(project.client, project.id, server.url, settings)
    kept, other = project.client.webhooks(project.id)
    expected = read_webhook_secret(settings).current
    assert (kept["url"], kept["headers"]) == (f"{server.url}/webhook", {HEADER: expected})
    assert kept["is_active"]
    assert kept["send_for_all_actions"]
    assert kept["send_payload"]
    assert other["headers"] == {"X-Mine": "1"}

    project.client.delete_webhook(other["id"])
    project.client.annotate(project.task_ids[0], project.answer("related"))
    call = until(lambda: [call for call in server.calls if b"ANNOTATION_CREATED" in call.body], "the event")[0]
    assert call.headers[HEADER] == expected
    assert "Authorization" not in call.headers
    assert json.loads(call.body)["project"]["id"] == project.id


def test_a_webhook_of_an_older_release_gets_the_secret_and_loses_the_password(make_project, tmp_path):
    project = headlines(make_project, labelled=0, in_all=3)
    settings = Settings(model_dir=tmp_path, basic_auth_user="studio", basic_auth_pass="päss")
    old = {"Authorization": password_header(settings), "X-Mine": "1"}
    project.client.create_webhook(project.id, "http://127.0.0.1:9/webhook", old)
    project.client.create_webhook(project.id, "http://127.0.0.1:9/other", {"Authorization": "Basic bWluZQ=="})
    assert renew_headers(project.client, project.id, settings) == [], "no secret is known here"
    read_webhook_secret(settings)
    assert renew_headers(project.client, project.id, settings) == ["http://127.0.0.1:9/webhook"]
    rotate_webhook_secret(settings)
    assert renew_headers(project.client, project.id, settings) == ["http://127.0.0.1:9/webhook"]
    mended, other = project.client.webhooks(project.id)
    assert mended["headers"] == {"X-Mine": "1", HEADER: read_webhook_secret(settings).current}
    assert other["headers"] == {"Authorization": "Basic bWluZQ=="}
    assert renew_headers(project.client, project.id, settings) == []


def test_without_its_payload_a_webhook_does_not_name_the_project(make_project, local_server):
    """Why the payload stays on."""
    project = headlines(make_project, labelled=0, in_all=3)
    server = local_server(lambda call: (200, "application/json", b"{}"))
    project.client.create_webhook(project.id, f"{server.url}/webhook", {})
    (hook,) = project.client.webhooks(project.id)
    project.client.change_webhook(hook["id"], {"send_payload": False})
    project.client.annotate(project.task_ids[0], project.answer("related"))
    call = until(lambda: [call for call in server.calls if b"ANNOTATION_CREATED" in call.body], "the event")[0]
    assert b"project" not in call.body
