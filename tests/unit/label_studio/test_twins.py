"""Connections that lead to one server are found, whatever the names; others are left alone."""

import json

import pytest
from support.local_server import LocalServerFactory

from ml_backend.label_studio.twins import find_twins


def server(local_server: LocalServerFactory, mark: str | None):
    body = {"status": "UP"} if mark is None else {"status": "UP", "instance": mark}
    return local_server(lambda call: (200, "application/json", json.dumps(body).encode()))


def hook(number, url, *, is_active=True):
    return {"id": number, "url": url, "is_active": is_active}


def test_by_the_mark_and_by_the_name(local_server):
    ours, again, other = (server(local_server, mark) for mark in ("a", "a", "b"))
    port = ours.url.rpartition(":")[2]
    rows = [
        {"id": n, "url": url} for n, url in enumerate([ours.url, again.url, other.url, f"http://localhost:{port}/"])
    ]
    hooks = [hook(n, f"{url}/webhook") for n, url in enumerate([ours.url, again.url, other.url])]
    hooks += [hook(7, again.url), hook(8, f"{again.url}/webhook/", is_active=False)]
    found = find_twins(rows[0], rows, hooks)
    assert ([row["id"] for row in found.backends], [row["id"] for row in found.webhooks]) == ([1, 3], [1])


@pytest.mark.parametrize("mark", [None, ""])
def test_servers_without_a_mark_are_one_by_their_name_alone(local_server, mark):
    ours, other = server(local_server, mark), server(local_server, mark)
    rows = [{"id": 1, "url": ours.url}, {"id": 2, "url": other.url}, {"id": 3, "url": "http://[::1"}]
    assert not find_twins(rows[0], rows, [])
    assert [row["id"] for row in find_twins(rows[0], [*rows, {"id": 4, "url": f"{ours.url}/"}], []).backends] == [4]
