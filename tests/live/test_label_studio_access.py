"""Tokens, what is not there, and servers that are slow or no Label Studio, against a real one."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from processes import free_port

from ml_backend.errors import (
    LabelStudioError,
    LabelStudioNotFound,
    LabelStudioRejected,
    LabelStudioUnauthorized,
    LabelStudioUnreachable,
)
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.label_studio.task_pages import Wanted

MISSING_PROJECT = 987_654
SECRET = "0123456789abcdef0123456789abcdef01234567"
LONG_AGO = "2000-01-01T00:00:00.000000Z"


@pytest.fixture
def client_of():
    """Clients that are closed after the test."""
    clients = []

    def make(url, token=SECRET, **kwargs):
        clients.append(LabelStudioClient(url, token, **kwargs))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_both_kinds_of_token_work(label_studio, make_project):
    account = label_studio.create_user()
    token = label_studio.personal_access_token(account.client)
    assert token.count(".") == 2
    personal = label_studio.new_client(token)
    assert personal.whoami()["email"] == account.email
    project = make_project(tasks=2, client=personal)
    assert account.client.task_ids(project.id) == set(project.task_ids)


def test_a_personal_access_token_is_exchanged_again_when_its_bearer_token_has_run_out(label_studio):
    account = label_studio.create_user()
    client = label_studio.new_client(label_studio.personal_access_token(account.client))
    assert client.whoami()
    first = client.auth.access_token
    lifetime = jwt.decode(first, options={"verify_signature": False})
    assert lifetime["exp"] - lifetime["iat"] <= 600
    claims = jwt.decode(first, options={"verify_signature": False})
    client.auth.access_token = jwt.encode({**claims, "exp": int(time.time()) - 1}, SECRET, algorithm="HS256")
    assert client.whoami()["email"] == account.email
    assert client.auth.access_token != first


def test_a_wrong_token_is_told_without_repeating_it(label_studio):
    with pytest.raises(LabelStudioUnauthorized, match="refused the token") as caught:
        label_studio.new_client(SECRET).whoami()
    assert SECRET not in str(caught.value)
    assert "LABEL_STUDIO_API_KEY" in str(caught.value)
    assert SECRET not in repr(label_studio.new_client(SECRET))


def personal(**claims):
    now = datetime.now(UTC)
    defaults = {"token_type": "refresh", "exp": now + timedelta(days=1), "jti": "0", "user_id": "1"}
    return jwt.encode(defaults | claims, SECRET, algorithm="HS256")


def test_an_expired_personal_access_token_is_told(label_studio):
    token = personal(exp=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(LabelStudioUnauthorized, match="expired") as caught:
        LabelStudioClient(label_studio.url, token)
    assert token not in str(caught.value)


def test_a_forged_personal_access_token_is_refused(label_studio):
    with pytest.raises(LabelStudioUnauthorized, match="refused the token") as caught:
        label_studio.new_client(personal()).whoami()
    assert personal()[:20] not in str(caught.value)


def test_a_revoked_personal_access_token_is_refused(label_studio):
    account = label_studio.create_user()
    token = label_studio.personal_access_token(account.client)
    client = label_studio.new_client(token)
    account.client.request("POST", "api/token/blacklist/", body={"refresh": token})
    with pytest.raises(LabelStudioUnauthorized, match="refused the token"):
        client.whoami()


# --- what is not there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.project(MISSING_PROJECT),
        lambda client: client.task_ids(MISSING_PROJECT),
        lambda client: list(client.changed_tasks(MISSING_PROJECT, LONG_AGO)),
        lambda client: client.next_task(MISSING_PROJECT),
        lambda client: client.export(MISSING_PROJECT),
        lambda client: client.import_tasks(MISSING_PROJECT, [{"data": {"text": "x"}}]),
        lambda client: client.prediction_versions(MISSING_PROJECT),
    ],
)
def test_a_missing_project_is_told_with_its_number(label_studio, call):
    with pytest.raises(LabelStudioNotFound, match=str(MISSING_PROJECT)):
        call(label_studio.client)


def test_a_missing_task_is_told_with_its_number(label_studio):
    with pytest.raises(LabelStudioNotFound, match="987654"):
        label_studio.client.annotate(987_654, [])


CALLS = [
    lambda client: client.whoami(),
    lambda client: client.project(1),
    lambda client: client.task_ids(1),
    lambda client: client.newest_change(1),
    lambda client: list(client.changed_tasks(1, LONG_AGO)),
    lambda client: client.export(1),
    lambda client: client.next_task(1),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_no_label_studio_is_told(local_server, client_of, call):
    page = local_server(lambda call: (200, "text/html", b"<html>It works!</html>"))
    with pytest.raises(LabelStudioUnreachable, match="not a Label Studio") as caught:
        call(client_of(page.url))
    assert page.url in str(caught.value)


def test_a_url_below_or_beside_label_studio_is_an_error_with_the_url(label_studio, client_of):
    with pytest.raises(LabelStudioError, match=f"{label_studio.url}/elsewhere"):
        client_of(f"{label_studio.url}/elsewhere", label_studio.token).whoami()


def test_a_dead_port_is_told_with_the_url_and_the_next_step(client_of):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LabelStudioUnreachable, match="LABEL_STUDIO_URL") as caught:
        client_of(url).whoami()
    assert url in str(caught.value)


def test_a_dead_port_is_told_with_a_personal_access_token_too(client_of):
    with pytest.raises(LabelStudioUnreachable, match="LABEL_STUDIO_URL"):
        client_of(f"http://127.0.0.1:{free_port()}", personal()).whoami()


def test_a_host_without_address_is_told(client_of):
    with pytest.raises(LabelStudioUnreachable, match=r"nowhere\.invalid"):
        client_of("http://nowhere.invalid:8080").whoami()


def test_a_slow_answer_is_given_up(local_server, client_of):
    given_up = threading.Event()
    server = local_server(lambda call: (given_up.wait(600), (200, "application/json", b"{}"))[1])
    with pytest.raises(LabelStudioUnreachable, match="in time"):
        client_of(server.url, timeout=0.3).request("GET", "api/projects", once=True)
    given_up.set()


@pytest.mark.parametrize(("once", "calls"), [(True, 1), (False, 4)])
def test_an_overloaded_server_is_asked_again_only_where_that_is_safe(local_server, client_of, once, calls):
    server = local_server(lambda call: (503, "text/html", b"<html>overloaded</html>"))
    with pytest.raises(LabelStudioRejected, match="503"):
        client_of(server.url).request("POST", "api/projects", once=once)
    assert len(server.calls) == calls


def test_a_token_that_no_header_can_carry_is_told(local_server, client_of):
    server = local_server(lambda call: (200, "application/json", b"{}"))
    with pytest.raises(LabelStudioError) as caught:
        client_of(server.url, "tökén").whoami()
    assert "tökén" not in str(caught.value)


def test_a_task_on_which_label_studio_fails_is_left_out(make_project, tmp_path):
    """Half a character: Label Studio takes it, and then answers 500 to each page that shows it."""
    project = make_project(tasks=5)
    texts = ["whole", "half \ud83d", "whole too"]
    answer = project.client._http.post(
        f"{project.client.url}/api/projects/{project.id}/import",
        params={"return_task_ids": "true"},
        content=json.dumps([{"data": {"text": text}} for text in texts]),
        headers={"Content-Type": "application/json"},
    )
    before, bad, after = answer.json()["task_ids"]
    with pytest.raises(LabelStudioRejected, match="500"):
        project.client.page(Wanted(project.id, "tasks:id", "id,data"))
    cache = TaskCache(tmp_path / "tasks.sqlite")
    for _ in range(2):
        assert cache.refresh(project.client, project.id).left_out == (bad,)
        assert [task.id for task in cache.tasks()] == [*project.task_ids, before, after]
    assert bad not in {row["id"] for page in project.client.changed_tasks(project.id, LONG_AGO) for row in page}
    project.client.request("DELETE", f"api/tasks/{bad}/")
    assert cache.refresh(project.client, project.id).left_out == ()
