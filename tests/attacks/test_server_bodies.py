"""Bodies that are large, deep or odd: a sentence and a status of 4xx, no traceback, no forged log line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.attacks import Attack, AttackedServer

MEGABYTE = 1024 * 1024
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
DEEP = b"[" * 5000 + b"]" * 5000
POSTS = ["/setup", "/predict", "/webhook", "/validate", "/job_status", "/versions"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(attack: Attack) -> AttackedServer:
    return attack()


def refused(server: AttackedServer, path: str, body: bytes, *, statuses: tuple[int, ...] = (400, 413, 422)) -> None:
    answer = server.http.post(path, content=body, headers=JSON)
    assert answer.status_code in statuses, (path, body[:60], answer.status_code)
    assert len(answer.json()["error"]) > 10


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"project": ' + DEEP + b"}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"project": {"id": 1' + b"0" * 5000 + b"}}",
        b'{"tasks": [{"id": 1, "data": {"text": "\\ud800"}}], "project": {"id": 1}}',
        b'{"config": "\\udfff", "schema": "\\udfff", "job": "\\udfff", "project": "\\udfff"}',
        b'{"project": {"id": NaN}}',
        b'{"project": 1e999}',
        b'{"x": Infinity}',
        b"\xff\xfe\x00",
        b"[" + b"1," * MEGABYTE + b"1]",
        b"[" + b"[]," * (MEGABYTE - 1) + b"[]]",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_an_odd_body_is_refused_in_a_sentence(server: AttackedServer, path: str, body: bytes) -> None:
    refused(server, path, body)
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "changes",
    [
        {"project": [1]},
        {"project": {"id": [1]}},
        {"project": "1" * 5000},
        {"project": 2**70},
        {"project": True},
        {"project": -1},
        {"project": 1.5},
        {"project": "7.1/../../x"},
        {"project": "٣"},
        {"tasks": [{"id": 2**70, "data": {}}]},
        {"tasks": [{"id": -1, "data": {}}]},
        {"tasks": [{"id": True, "data": {}}]},
        {"tasks": [{"id": 1, "data": {}, "project": [1]}], "project": None},
        {"tasks": [{"id": 1, "data": {}}] * 5001},
        {"label_config": [CONFIG]},
    ],
    ids=lambda changes: repr(changes)[:40],
)
def test_an_odd_predict_is_refused_in_a_sentence(server: AttackedServer, changes: dict[str, Any]) -> None:
    body = {"project": "7.1700000000", "label_config": CONFIG, "tasks": [{"id": 1, "data": {"text": "x"}}]} | changes
    refused(server, "/predict", json.dumps(body).encode())
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "path",
    [
        f"/dashboard/api/projects/{'9' * 5000}/overview",
        f"/dashboard/{'9' * 5000}/media/1",
        f"/dashboard/1/media/{'9' * 5000}",
        f"/dashboard/api/projects/1/items?ids={'9' * 5000}",
        f"/is_training?project={'9' * 5000}",
        "/is_training?project=" + "%D9%A3" * 2000,
        f"/versions?project={'9' * 5000}",
        "/versions?project=%00",
        "/versions?project=../../etc",
        "/dashboard/api/projects/1/%00",
        "/%ff%fe",
        "/dashboard/%ff%fe/overview",
    ],
)
def test_an_odd_path_is_no_error_of_ours(server: AttackedServer, path: str) -> None:
    assert server.http.get(path).status_code < 500
    assert "Traceback" not in server.log


def test_200_000_tiny_tasks_are_refused_at_once(server: AttackedServer) -> None:
    tasks = b",".join([b'{"id":1,"data":{}}'] * 200_000)
    refused(server, "/predict", b'{"tasks": [' + tasks + b"]}", statuses=(422,))


def test_57_mb_of_empty_lists_cost_no_memory(attack: Attack) -> None:
    server = attack(LOG_LEVEL="ERROR")
    server.http.post("/predict", json={})
    before = server.memory()
    for size in (57, 31, 3):
        body = b"[" + b"[]," * (size * MEGABYTE // 3) + b"[]]"
        refused(server, "/predict", body)
    assert server.memory() - before < 200 * MEGABYTE


def test_names_forge_no_line_of_the_log(server: AttackedServer) -> None:
    forged = "2026-01-01 00:00:00,000 INFO ml_backend: all is well"
    name = f"x\n{forged}\x1b[31m\r\u2028\u202e\x9b31m"
    answer = server.http.post("/setup", json={"project": "7.1700000000", "schema": CONFIG, "extra_params": {name: 1}})
    assert answer.status_code in (400, 404)
    server.http.get("/nothing%0a" + forged.replace(" ", "%20"))
    lines = server.log.splitlines()
    assert not any(line.startswith(forged[:19]) for line in lines)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", server.log)


def test_a_long_label_breaks_no_status_line(server: AttackedServer) -> None:
    label = "x" * 200_000
    answer = server.http.post("/validate", json={"config": f"<View><{label}"})
    assert answer.status_code == 422
    twice = f'<Choice value="{label}"/>' * 2
    answer = server.http.post("/validate", json={"config": CONFIG.replace('<Choice value="yes"/>', twice)})
    assert answer.status_code in (200, 422)
    assert len(answer.reason_phrase) < 1000


UPDATE = "/dashboard/_dash-update-component"
PULSE = {
    "output": "..pulse.data...announcer.children..",
    "outputs": [{"id": "pulse", "property": "data"}, {"id": "announcer", "property": "children"}],
    "inputs": [
        {"id": "tick", "property": "n_intervals", "value": 1},
        {"id": "url", "property": "pathname", "value": "/dashboard/"},
    ],
    "state": [{"id": "pulse", "property": "data", "value": None}],
    "changedPropIds": ["tick.n_intervals"],
}


def test_an_update_of_a_page_is_answered(server: AttackedServer) -> None:
    assert server.http.get("/dashboard/_dash-layout").status_code == 200
    assert server.http.post(UPDATE, json=PULSE).status_code in (200, 204)


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "nothing.there"},
        {"output": ["x"]},
        {"output": None},
        {"inputs": []},
        {"inputs": None},
        {"inputs": [1, 2]},
        {"inputs": [{}, {}]},
        {"inputs": [PULSE["inputs"][0], {"id": "url", "property": "pathname", "value": [1]}]},
        {"inputs": [PULSE["inputs"][0], {"id": ["url"], "property": "pathname", "value": "/"}]},
        {"state": [{"id": "pulse", "property": "data", "value": {"a": 1}}]},
        {"state": [{"id": "pulse", "property": "data", "value": "x"}], "changedPropIds": ["nothing"]},
        {"outputs": None},
        {"outputs": [1]},
        {"outputs": {"id": "pulse", "property": "data"}},
        {"changedPropIds": 5},
        {"changedPropIds": [[1]]},
    ],
    ids=repr,
)
def test_a_malformed_update_of_a_page_is_no_error_of_ours(server: AttackedServer, changes: dict[str, Any]) -> None:
    server.http.get("/dashboard/_dash-layout")
    assert server.http.post(UPDATE, json=PULSE | changes).status_code < 500
    assert "Traceback" not in server.log


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b"1", DEEP, b'{"output": "' + b"x" * 100_000 + b'"}'], ids=len)
@pytest.mark.parametrize("path", [UPDATE, "/dashboard/api/projects/1/wishes", "/dashboard/_reload-hash"])
def test_an_odd_change_of_the_dashboard_is_refused(server: AttackedServer, path: str, body: bytes) -> None:
    answer = server.http.post(path, content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert "Traceback" not in server.log
