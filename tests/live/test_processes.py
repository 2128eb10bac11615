"""How the tests' and the demo's Label Studio is started, and what it listens to and speaks to."""

from pathlib import Path

import pytest
import requests
from processes import ServerFailed, start_label_studio


def test_label_studio_that_cannot_start_is_told_with_its_log(tmp_path):
    with pytest.raises(ServerFailed, match=r"Label Studio ended with exit code 1(.|\n)*Incorrect bool value"):
        start_label_studio(tmp_path, extra_env={"LABEL_STUDIO_DEBUG": "perhaps"}, timeout=120)


def test_label_studio_listens_on_this_machine_only(label_studio):
    port = int(label_studio.url.rsplit(":", 1)[1])
    listening = "0A"
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    addresses = {row[1].split(":")[0] for row in rows if row[3] == listening and int(row[1].split(":")[1], 16) == port}
    assert addresses == {"0100007F"}  # 127.0.0.1


def test_label_studio_speaks_to_nobody_else(label_studio):
    page = requests.get(f"{label_studio.url}/user/login", timeout=60).text
    assert "sentry_dsn: null" in page or "sentry" not in page.lower()
    assert "sentry-cdn" not in page
    log = label_studio.log.read_text(errors="replace")
    assert "pypi" not in log.lower()
    assert label_studio.password not in log
    assert label_studio.token not in log


def test_label_studio_refuses_sign_ups_without_an_invitation(label_studio):
    page = f"{label_studio.url}/user/signup/"
    with requests.Session() as session:
        session.get(page, timeout=60)
        form = {
            "email": "stranger@example.org",
            "password": "correct-horse-battery-2",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        }
        assert session.post(page, data=form, headers={"Referer": page}, timeout=60).status_code == 403


def test_the_first_account_can_do_everything_and_more_can_be_made(label_studio):
    assert label_studio.client.whoami()["email"] == label_studio.email
    account = label_studio.create_user()
    assert account.client.whoami()["id"] == account.id
    emails = {row["email"] for row in label_studio.client.request("GET", "api/users/").json()}
    assert {label_studio.email, account.email} <= emails
