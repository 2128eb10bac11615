"""The doctor's command, and what may be wrong with Label Studio and the token."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from processes import free_port
from pydantic import SecretStr
from support.connected import TITLE
from support.doctored import webhooks
from support.places import REPOSITORY

from ml_backend.doctor import access
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine


def test_label_studio_is_down(installation):
    gone = f"http://127.0.0.1:{free_port()}"
    installation.settings = installation.settings.model_copy(update={"label_studio_url": gone})
    found = installation.findings()
    assert found["Label Studio"].status == "error"
    assert "LABEL_STUDIO_URL" in found["Label Studio"].remedy
    installed = {name for name in found if name.startswith("Installation: ")} - {"Installation: own server"}
    without = {"Disk space", "Redis", "Shared store", *installed}
    assert {found[name].status for name in without} == {"ok"}
    rest = [item for name, item in found.items() if name not in {"Label Studio", *without}]
    assert {item.status for item in rest} == {"skipped"}
    assert found["Token"].message == 'Not checked: it needs "Label Studio".'


def test_something_else_answers(installation, local_server):
    other = local_server(lambda call: (200, "text/html", b"<html>"))
    installation.settings = installation.settings.model_copy(update={"label_studio_url": other.url})
    assert "is not a Label Studio" in installation.findings()["Label Studio"].message


def test_another_version(installation, local_server):
    newer = local_server(lambda call: (200, "application/json", b'{"release": "1.30.0"}'))
    installation.settings = installation.settings.model_copy(update={"label_studio_url": newer.url})
    found = installation.findings()["Label Studio"]
    assert found.status == "warning"
    assert "1.30.0 was not tested (1.20.0, 1.22.0 and 1.23.2 were)" in found.message
    assert f"lsal doctor --project {installation.project.id} --order 20" in found.remedy


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
