"""The list of accounts: who may not read it has none, and whatever else goes wrong is an error."""

import json

import pytest
from support.local_server import LocalServerFactory

from ml_backend.errors import LabelStudioError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.retries import RetryPolicy

ONCE = RetryPolicy(tries=1, tries_when_locked=1)


@pytest.fixture
def emails(local_server: LocalServerFactory):
    clients = []

    def ask(status, body):
        server = local_server(lambda call: (status, "application/json", json.dumps(body).encode()))
        clients.append(LabelStudioClient(server.url, "token", timeout=10, patience=ONCE))
        return clients[-1].emails()

    yield ask
    for client in clients:
        client.close()


def test_addresses_by_account(emails):
    rows = [{"id": 1, "email": "a@example.org"}, {"id": 2, "email": ""}, {"id": 3, "email": "b@example.org"}]
    assert emails(200, rows) == {1: "a@example.org", 3: "b@example.org"}


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_read_them_has_none(emails, status):
    assert emails(status, {"detail": "no"}) == {}


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502])
def test_any_other_failure_is_one(emails, status):
    with pytest.raises(LabelStudioError):
        emails(status, {"detail": "busy"})
