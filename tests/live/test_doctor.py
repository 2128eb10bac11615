"""The doctor against a real Label Studio: a healthy installation, then one thing broken at a time."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from processes import free_port
from pydantic import SecretStr
from support.connected import AUDIO, TITLE, WORDS, connect
from support.label_studio import live_label_studio
from support.places import REPOSITORY
from support.rounds import round_of
from support.serving import Backend
from typer.testing import CliRunner

from ml_backend.cli import doctor
from ml_backend.config import Settings
from ml_backend.doctor import access, connection, stored
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine, mend
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.publishing import TAB_TITLE
from ml_backend.label_studio.setup import ensure_webhook
from ml_backend.rounds.project_round import workspace
from ml_backend.store.project_store import ProjectStore

QUEUE = 6
AUTH = {"basic_auth_user": "studio", "basic_auth_pass": "right"}
NOT_PROVED = {"Task locks", "Order"}
"""Skipped in a healthy installation."""


class Installation:
    """One project with a model, an order and a connected backend, and the settings that its owner would export."""

    def __init__(self, project, server):
        self.project, self.client, self.server = project, project.client, server
        self.settings = server.settings
        self.given_url = None

    @property
    def store(self):
        return ProjectStore(self.settings.model_dir, self.project.project.uid)

    def round(self, **options):
        return round_of(workspace(self.settings, self.client), self.project.id, **options)

    def patch(self, **changes):
        self.client.request("PATCH", f"api/projects/{self.project.id}", body=changes)

    def context(self, **changes):
        known = {"given_backend_url": self.given_url}
        return Context(self.settings, self.project.id, **known | changes)

    def findings(self, **changes):
        with self.context(**changes) as context:
            return {finding.name: finding for finding in examine(context, CHECKS)}

    def wrong(self):
        """What is neither right nor skipped."""
        return {name: item for name, item in self.findings().items() if item.status in ("warning", "error")}

    def only(self, name, status):
        found = self.wrong()
        assert {key: item.status for key, item in found.items()} == {name: status}
        assert found[name].remedy
        return found[name]

    def mended(self):
        """What --fix did; afterwards all is right."""
        with self.context() as context:
            findings = list(examine(context, CHECKS))
        with self.context() as context:
            done = list(mend(context, findings, CHECKS))
        assert all(item.done for item in done), done
        assert self.wrong() == {}
        return {item.name: item.message for item in done}

    def environment(self, **changes):
        known = {
            "LABEL_STUDIO_URL": self.settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": self.settings.label_studio_api_key.get_secret_value(),
            "KEEP_QUEUES_SECONDS": "0",
            "MODEL_DIR": str(self.settings.model_dir),
            "BASIC_AUTH_USER": AUTH["basic_auth_user"],
            "BASIC_AUTH_PASS": AUTH["basic_auth_pass"],
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "OMP_WAIT_POLICY") if name in os.environ}
        return kept | known | changes


@pytest.fixture
def installation(label_studio, make_project, tmp_path, monkeypatch):
    """A healthy installation with basic auth."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(24)]
    for number, row in enumerate(rows[:10]):
        row["annotations"] = [{"result": project.answer(("related", "not related")[number % 2])}]
        if number < 2:
            row["data"]["split"] = "evaluation"
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    server = Backend(
        Settings(
            label_studio_url=label_studio.url,
            label_studio_api_key=label_studio.token,
            model_dir=tmp_path / "versions",
            queue_size=QUEUE,
            keep_queues_seconds=0,
            **AUTH,
        )
    )
    more = {"auth_method": "BASIC_AUTH", "basic_auth_user": "studio", "basic_auth_pass": "right"}
    connect(project, server.url, **more)
    ensure_webhook(project.client, project.id, server.url, server.settings)
    made = Installation(project, server)
    made.round(overrides={"hyperparameters": {"steps": 5}})
    yield made
    server.close()


@pytest.fixture
def run(installation, monkeypatch):
    """Run the command in this process."""

    def invoke(*arguments, code=0, **env):
        for name, value in installation.environment(**env).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(doctor.app, ["--project", str(installation.project.id), *arguments])
        assert result.exit_code == code, result.output
        assert installation.settings.label_studio_api_key.get_secret_value() not in result.output
        assert base64.b64encode(b"studio:right").decode() not in result.output
        return result

    return invoke


# --- healthy -----------------------------------------------------------------------------------------------------


def test_a_healthy_installation_has_nothing_wrong(installation, run):
    found = installation.findings()
    assert {name: item for name, item in found.items() if item.status != "ok"}.keys() == NOT_PROVED
    assert found["Label Studio"].message.endswith("version 1.23.2.")
    assert "Legacy token of " in found["Token"].message
    assert found["Coverage"].message == f"{QUEUE} of 14 open tasks are in the served order."
    assert f"{QUEUE} are between 0 and 1" in found["Scores"].message
    assert "with the password" in found["Webhook"].message
    assert "refuses others" in found["Backend's password"].message
    assert [check.name for check in CHECKS] == list(found)
    # Looking changes nothing, and --fix finds nothing to do.
    before = installation.project.project
    told = run("--fix").stdout
    assert "mended" not in told
    assert f"{len(CHECKS) - 2} ok, 0 warning, 0 error, 2 skipped" in told
    assert installation.project.project == before


def test_the_order_is_proved_only_when_asked_and_everything_is_taken_back(installation, run):
    before = installation.project.project.annotation_count
    result = run("--order", "3")
    assert "The next 3 tasks are the queue's" in result.stdout
    assert "answers the next 3 tasks as this account, and deletes these answers" in result.stderr
    assert installation.project.project.annotation_count == before
    # Tasks that were labelled since the publication are no mistake in the order.
    installation.client.annotate(
        installation.store.queue(installation.store.current().queue).predictions[0].task_id,
        installation.project.answer("related"),
    )
    assert installation.findings(order=2)["Order"].status == "ok"


def test_no_order_is_proved_while_a_round_runs(installation):
    with installation.store.lock():
        found = installation.findings(order=2)["Order"]
    assert found.status == "error"
    assert "Another process is working on this project" in found.message


def test_a_wrong_order_is_found(installation):
    queue = installation.store.queue(installation.store.current().queue)
    installation.store.write_queue(replace(queue, predictions=queue.predictions[::-1]))
    found = installation.findings(order=2)["Order"]
    assert found.status == "error"
    assert "published task" in found.message
    assert "lsal sync" in found.remedy


# --- the order ---------------------------------------------------------------------------------------------------


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


# --- the backend -------------------------------------------------------------------------------------------------


def webhooks(installation):
    return installation.client.webhooks(installation.project.id)


def test_a_deleted_webhook(installation):
    installation.client.delete_webhook(webhooks(installation)[0]["id"])
    found = installation.only("Webhook", "error")
    assert "is missing" in found.message
    assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in found.remedy
    assert installation.mended() == {"Webhook": f"{installation.server.url}/webhook is set right."}


def test_a_doubled_webhook(installation):
    url = f"{installation.server.url}/webhook"
    installation.client.create_webhook(installation.project.id, url, {})
    assert "is there 2 times" in installation.only("Webhook", "error").message
    assert installation.mended().keys() == {"Webhook"}
    assert len(webhooks(installation)) == 1


def test_an_inactive_webhook_stays_off(installation):
    (row,) = webhooks(installation)
    installation.client.change_webhook(row["id"], {"is_active": False, "actions": row["actions"]})
    found = installation.only("Webhook", "warning")
    assert "switched off" in found.message
    assert "Settings > Webhooks" in found.remedy
    assert not found.fixable


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic d3Jvbmc="}])
def test_a_webhook_without_the_password(installation, headers):
    (row,) = webhooks(installation)
    installation.client.change_webhook(row["id"], {"headers": headers, "actions": row["actions"]})
    assert "carries no or another password" in installation.only("Webhook", "error").message
    assert installation.mended().keys() == {"Webhook"}


def test_a_webhook_for_few_actions(installation):
    (row,) = webhooks(installation)
    changes = {"send_for_all_actions": False, "actions": ["PROJECT_UPDATED"]}
    installation.client.change_webhook(row["id"], changes)
    assert "ANNOTATION_CREATED" in installation.only("Webhook", "warning").message


def test_another_password_than_the_backends(installation):
    installation.settings = installation.settings.model_copy(update={"basic_auth_pass": SecretStr("wrong")})
    found = installation.wrong()
    assert found.keys() == {"Backend's password", "Webhook"}  # the webhook carries the right one, not this one
    assert "BASIC_AUTH_USER and BASIC_AUTH_PASS" in found["Backend's password"].remedy
    before = webhooks(installation)
    with installation.context() as context:
        (done,) = mend(context, list(found.values()), CHECKS)
    assert not done.done
    assert "refuses the user and password that are set here" in done.message
    assert webhooks(installation) == before
    installation.settings = installation.settings.model_copy(update={"basic_auth_user": None, "basic_auth_pass": None})
    assert "none is set here" in installation.only("Backend's password", "error").message


def test_label_studio_has_an_old_password(installation):
    port = int(installation.server.url.rpartition(":")[2])
    installation.server.close()
    again = Backend(installation.settings.model_copy(update={"basic_auth_pass": SecretStr("new")}), port=port)
    try:
        installation.settings = again.settings
        found = installation.wrong()
        assert found.keys() == {"Label Studio to backend", "Webhook"}
        assert "Wrong or missing basic auth" in found["Label Studio to backend"].message
        assert "lsal create-project" in found["Label Studio to backend"].remedy
        assert found["Webhook"].fixable
    finally:
        again.close()


def test_a_backend_that_is_not_connected(installation):
    again = Backend(installation.settings)
    try:
        installation.given_url = again.url
        found = installation.wrong()
        assert found.keys() == {"Label Studio to backend", "Webhook"}
        assert "is not connected to the project" in found["Label Studio to backend"].message
        assert f"--backend-url {again.url}" in found["Label Studio to backend"].remedy
    finally:
        again.close()


def test_a_dead_backend(installation):
    installation.server.close()
    found = installation.findings()
    assert found["Backend"].status == "error"
    assert "lsal serve" in found["Backend"].remedy
    assert found["Label Studio to backend"].status == found["Backend's password"].status == "skipped"
    assert found["Coverage"].status == found["Webhook"].status == "ok"


def test_label_studio_cannot_reach_a_backend_that_answers_from_here(installation):
    rows = installation.client.backends(installation.project.id)
    answers = {
        "DI": (None, ("Disconnected", "SSRF_PROTECTION_ENABLED=false")),
        "ER": ("URL resolves to a reserved network address (block: 127.0.0.0/8)", ("block", "ML_BLOCK_LOCAL_IP=false")),
    }
    for state, (told, (message, remedy)) in answers.items():
        row = rows[0] | {"state": state, "readable_state": "Disconnected", "error_message": told}
        with installation.context() as context:
            context.backends = [row]  # as if Label Studio had answered this
            found = connection.backend_state(context)
        assert found.status == "error"
        assert message in found.message
        assert remedy in found.remedy


def test_no_backend_at_all_is_no_error(installation):
    (row,) = installation.client.backends(installation.project.id)
    installation.client.request("DELETE", f"api/ml/{row['id']}")
    installation.patch(model_version=installation.store.current().queue)
    found = installation.findings()
    assert {found[name].status for name in ("Backend", "Webhook")} == {"skipped"}
    assert installation.wrong() == {}


def test_another_ml_backend(installation, local_server):
    other = local_server(lambda call: (200, "application/json", b'{"status": "UP", "model_class": "Other"}'))
    installation.given_url = other.url
    assert "another ML backend (Other)" in installation.findings()["Backend"].message


def test_a_label_studio_that_refuses_private_addresses(installation, tmp_path_factory):
    """With ML_BLOCK_LOCAL_IP=false alone the backend is connected, and its webhook missing."""
    env = {"LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "true"}
    with live_label_studio(tmp_path_factory, env) as other:
        changes = {"label_studio_url": other.url, "label_studio_api_key": SecretStr(other.token)}
        settings = installation.settings.model_copy(update=changes)
        with Context(settings, 1) as context:
            config = (REPOSITORY / "label_configs" / "headlines.xml").read_text(encoding="utf-8")
            project = context.client.create_project("Strict", config)
            context.project_id = project.id
            user = {"user": "studio", "password": "right"}
            with pytest.raises(Exception, match="reserved network address"):
                context.client.connect_backend(project.id, installation.server.url, title=TITLE, **user)
            found = {item.name: item for item in examine(context, CHECKS)}
            assert found["Label Studio to backend"].status == "ok"
            assert "is missing" in found["Webhook"].message
            assert connection.PRIVATE_ADDRESS in found["Webhook"].remedy
            (done,) = mend(context, [found["Webhook"]], CHECKS)
            assert not done.done
            assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in done.message


# --- project and store -------------------------------------------------------------------------------------------


def test_an_unsupported_config(installation):
    installation.patch(label_config=AUDIO)
    found = installation.findings()
    assert "asks about <Audio>" in found["Labeling config"].message
    assert "Labeling Interface" in found["Labeling config"].remedy
    assert found["Sampling"].status == found["Coverage"].status == "ok"
    assert found["Order"].status == "skipped"


def test_no_store(installation, tmp_path):
    installation.settings = installation.settings.model_copy(update={"model_dir": tmp_path / "elsewhere"})
    found = installation.only("Store", "error")
    assert "Label Studio serves" in found.message
    assert "MODEL_DIR" in found.remedy
    assert not (tmp_path / "elsewhere").exists()
    found = installation.findings()
    assert found["Served version"].status == found["Left-over versions"].status == "skipped"


def test_no_round_yet(installation, make_project):
    installation.project = make_project("headlines", 2)
    found = installation.wrong()
    assert found.keys() == {"Store", "Evaluation tasks", "Data Manager tab"}
    assert "lsal sync" in found["Store"].remedy


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"other": 1}'])
def test_a_damaged_current_file(installation, content):
    (installation.store.folder / "current.json").write_bytes(content)
    found = installation.findings()
    assert found["Stored files"].status == "error"
    assert "current.json is damaged" in found["Stored files"].message
    assert found["Served version"].status == found["Last round"].status == "skipped"
    assert found["Webhook"].status == found["Sampling"].status == "ok"


@pytest.mark.parametrize("part", ["weights.safetensors", "model.json"])
def test_a_damaged_version(installation, part):
    folder = installation.store.folder / "versions" / installation.store.current().version
    (folder / part).write_bytes(b"torn")
    assert part in installation.findings()["Stored files"].message


def test_a_full_disk(installation):
    found = stored.disk(installation.context(), free_bytes=lambda place: 5_000_000)
    assert found.status == "warning"
    assert found.remedy
    assert "Only 5 MB free" in found.message


def test_a_store_that_cannot_be_written(installation):
    folder = installation.store.folder
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("/proc/self")  # where nobody may make a file, not even root
    assert f"{folder} cannot be written (" in installation.findings()["Store"].message


def test_labels_that_wait_too_long(installation):
    long_ago = (datetime.now(UTC) - timedelta(hours=5)).timestamp()
    for path in installation.store.folder.rglob("*.json"):
        os.utime(path, (long_ago, long_ago))
    found = installation.only("Last round", "warning")
    assert "5 hours ago" in found.message
    assert "lsal sync" in found.remedy


def test_a_failed_round_is_told(installation):
    (installation.store.folder / "rounds.jsonl").write_text('{"error": "Label Studio was away"}\n', encoding="utf-8")
    assert installation.only("Last round", "error").message == "It failed: Label Studio was away"


# --- Label Studio and the token ------------------------------------------------------------------------------------


def test_label_studio_is_down(installation):
    gone = f"http://127.0.0.1:{free_port()}"
    installation.settings = installation.settings.model_copy(update={"label_studio_url": gone})
    found = installation.findings()
    assert found["Label Studio"].status == "error"
    assert "LABEL_STUDIO_URL" in found["Label Studio"].remedy
    without = {"Disk space", "Redis", "Shared store"}
    assert {found[name].status for name in without} == {"ok"}
    rest = [item for name, item in found.items() if name not in {"Label Studio", *without}]
    assert {item.status for item in rest} == {"skipped"}
    assert found["Token"].message == 'Not checked: it needs "Label Studio".'


def test_something_else_answers(installation, local_server):
    other = local_server(lambda call: (200, "text/html", b"<html>"))
    installation.settings = installation.settings.model_copy(update={"label_studio_url": other.url})
    assert "is no Label Studio" in installation.findings()["Label Studio"].message


def test_another_version(installation, local_server):
    newer = local_server(lambda call: (200, "application/json", b'{"release": "1.30.0"}'))
    installation.settings = installation.settings.model_copy(update={"label_studio_url": newer.url})
    found = installation.findings()["Label Studio"]
    assert found.status == "warning"
    assert "1.30.0, tested with 1.23.2" in found.message


@pytest.mark.parametrize("token", ["f" * 40, None])
def test_a_wrong_or_missing_token(installation, token):
    key = SecretStr(token) if token else None
    installation.settings = installation.settings.model_copy(update={"label_studio_api_key": key})
    found = installation.findings()
    assert found["Token"].status == "error"
    assert "LABEL_STUDIO_API_KEY" in found["Token"].message
    assert found["Project"].status == "skipped"


def test_a_personal_access_token(installation, label_studio):
    token = label_studio.personal_access_token(label_studio.create_user().client)
    installation.settings = installation.settings.model_copy(update={"label_studio_api_key": SecretStr(token)})
    found = installation.findings()["Token"]
    assert found.status == "ok"
    assert "Personal access token of annotator-" in found.message
    assert f"{access.personal_token_expiry(token):%Y-%m-%d}" in found.message
    last_day = access.personal_token_expiry(token) - timedelta(days=1)
    assert installation.findings(now=lambda: last_day)["Token"].status == "warning"


def test_a_project_that_does_not_exist(installation):
    with Context(installation.settings, 999_999) as context:
        found = {item.name: item for item in examine(context, CHECKS)}
    assert "Project 999999 does not exist" in found["Project"].message
    assert found["Sampling"].status == "skipped"


# --- the command ---------------------------------------------------------------------------------------------------


def test_fix_mends_several_things_at_once_and_then_proves_the_order(installation, run):
    rows = [{"task": installation.project.task_ids[-1], "result": [], "score": 0, "model_version": "start.random-0099"}]
    installation.client.import_predictions(installation.project.id, rows)
    installation.client.delete_webhook(webhooks(installation)[0]["id"])
    installation.patch(sampling="Sequential sampling", model_version=TITLE)
    told = run(code=1).stdout
    assert "--fix" in told
    told = run("--fix", "--order", "2").stdout
    for name in ("Sampling", "Served version", "Left-over versions", "Webhook"):
        assert f"mended: {name}: " in told
    assert "The next 2 tasks are the queue's" in told
    assert told.rstrip().endswith("0 error, 1 skipped")
    assert installation.wrong() == {}


def test_as_a_command_with_exit_codes_and_json(installation):
    command = [sys.executable, str(REPOSITORY / "scripts" / "doctor.py"), "--project", str(installation.project.id)]

    def call(*arguments, **env):
        done = subprocess.run(
            [*command, *arguments], env=installation.environment(**env), capture_output=True, text=True, timeout=120
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    healthy = call("--json")
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    report = json.loads(healthy.stdout)
    assert report["ok"] is True
    assert [item["name"] for item in report["findings"]] == [check.name for check in CHECKS]
    installation.patch(sampling="Sequential sampling")
    broken = call()
    assert broken.returncode == 1
    assert "error   Sampling" in broken.stdout
    mended = call("--fix", "--json")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert [item["name"] for item in json.loads(mended.stdout)["mended"]] == ["Sampling"]
    down = call("--json", LABEL_STUDIO_URL=f"http://127.0.0.1:{free_port()}")
    assert down.returncode == 1
    assert json.loads(down.stdout)["ok"] is False
