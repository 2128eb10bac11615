"""The doctor, and what may be wrong with backend and webhook."""

from contextlib import closing

import pytest
from pydantic import SecretStr
from support.connected import TITLE
from support.doctored import webhooks
from support.label_studio import live_label_studio
from support.places import REPOSITORY
from support.serving import Backend

from ml_backend.doctor import connection
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine, mend
from ml_backend.label_studio.webhook_secret import HEADER, read_webhook_secret, secret_path
from ml_backend.label_studio.webhooks import password_header


def test_a_deleted_webhook(installation):
    installation.client.delete_webhook(webhooks(installation)[0]["id"])
    found = installation.only("Webhook", "error")
    assert "is missing" in found.message
    assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in found.remedy
    assert installation.mended() == {"Webhook": f"{installation.server.url}/webhook is correct now."}


def test_a_doubled_webhook(installation):
    url = f"{installation.server.url}/webhook"
    installation.client.create_webhook(installation.project.id, url, {})
    assert "exists 2 times" in installation.only("Webhook", "error").message
    assert installation.mended().keys() == {"Webhook"}
    assert len(webhooks(installation)) == 1


def test_an_inactive_webhook_stays_off(installation):
    (row,) = webhooks(installation)
    installation.client.change_webhook(row["id"], {"is_active": False, "actions": row["actions"]})
    found = installation.only("Webhook", "warning")
    assert "switched off" in found.message
    assert "Settings > Webhooks" in found.remedy
    assert not found.fixable


@pytest.mark.parametrize("headers", [{}, {HEADER: "x" * 43}])
def test_a_webhook_without_its_secret(installation, headers):
    (row,) = webhooks(installation)
    installation.client.change_webhook(row["id"], {"headers": headers, "actions": row["actions"]})
    assert "carries no secret or a wrong one" in installation.only("Webhook", "error").message
    assert installation.mended().keys() == {"Webhook"}


def test_a_webhook_that_carries_the_password(installation):
    """As older releases made it: every user of Label Studio can read it there."""
    (row,) = webhooks(installation)
    headers = {"Authorization": password_header(installation.settings)}
    installation.client.change_webhook(row["id"], {"headers": headers, "actions": row["actions"]})
    assert "every user of Label Studio can read" in installation.only("Webhook", "warning").message
    assert installation.mended().keys() == {"Webhook"}
    assert webhooks(installation)[0]["headers"].keys() == {HEADER}


def test_a_secret_that_others_can_read_is_changed(installation):
    secret_path(installation.settings).chmod(0o644)
    before = read_webhook_secret(installation.settings)
    found = installation.wrong()
    assert found.keys() == {"Webhook's secret", "Installation: files"}
    assert "can be read by other users" in found["Webhook's secret"].message
    assert "Webhook's secret" in installation.mended()
    now = read_webhook_secret(installation.settings)
    assert (now.previous, webhooks(installation)[0]["headers"]) == (before.current, {HEADER: now.current})


def test_a_webhook_for_few_actions(installation):
    (row,) = webhooks(installation)
    changes = {"send_for_all_actions": False, "actions": ["PROJECT_UPDATED"]}
    installation.client.change_webhook(row["id"], changes)
    assert "ANNOTATION_CREATED" in installation.only("Webhook", "warning").message


def test_another_password_than_the_backends(installation):
    installation.settings = installation.settings.model_copy(update={"basic_auth_pass": SecretStr("wrong")})
    found = installation.wrong()
    assert found.keys() == {"Backend's password"}
    assert "BASIC_AUTH_USER and BASIC_AUTH_PASS" in found["Backend's password"].remedy
    installation.settings = installation.settings.model_copy(update={"basic_auth_user": None, "basic_auth_pass": None})
    assert "none is set here" in installation.only("Backend's password", "error").message


def test_label_studio_has_an_old_password(installation):
    port = int(installation.server.url.rpartition(":")[2])
    installation.server.close()
    again = Backend(installation.settings.model_copy(update={"basic_auth_pass": SecretStr("new")}), port=port)
    try:
        installation.settings = again.settings
        found = installation.wrong()
        assert found.keys() == {"Label Studio to backend"}
        assert "Wrong or missing basic auth" in found["Label Studio to backend"].message
        assert "lsal create-project" in found["Label Studio to backend"].remedy
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
        server = Backend(settings)  # one of its own: it is set up for projects that its Label Studio has
        with closing(server), Context(settings, 1) as context:
            config = (REPOSITORY / "label_configs" / "headlines.xml").read_text(encoding="utf-8")
            project = context.client.create_project("Strict", config)
            context.project_id = project.id
            user = {"user": "studio", "password": "right"}
            with pytest.raises(Exception, match="reserved network address"):
                context.client.connect_backend(project.id, server.url, title=TITLE, **user)
            found = {item.name: item for item in examine(context, CHECKS)}
            assert found["Label Studio to backend"].status == "ok"
            assert "is missing" in found["Webhook"].message
            assert connection.PRIVATE_ADDRESS in found["Webhook"].remedy
            (done,) = mend(context, [found["Webhook"]], CHECKS)
            assert not done.done
            assert "SSRF_PROTECTION_ENABLED=false and ML_BLOCK_LOCAL_IP=false" in done.message
