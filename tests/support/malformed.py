"""Requests that are wrong in many ways, over all routes of the backend."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import strategies as st
from support.attacks import AttackedServer

PATHS = (
    "/setup", "/predict", "/webhook", "/validate", "/job_status", "/versions", "/is_training", "/status", "/metrics",
    "/delete", "/duplicate_model", "/rounds/cancel", "/", "/health", "/dashboard/", "/dashboard/7/overview",
    "/dashboard/api/projects", "/dashboard/api/projects/7/queue", "/dashboard/api/projects/7/items",
    "/dashboard/api/projects/7/map/x", "/dashboard/api/projects/7/search", "/dashboard/api/projects/7/wishes",
    "/dashboard/7/media/1", "/dashboard/7/versions/x.zip", "/dashboard/_dash-update-component",
    "/dashboard/_dash-layout", "/dashboard/_dash-dependencies", "/dashboard/assets/dashboard.css",
)  # fmt: skip
METHODS = ("GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
NAMES = (
    "project", "tasks", "label_config", "schema", "extra_params", "action", "annotation", "id", "data", "job", "config",
    "task_ids", "output", "inputs", "state", "outputs", "changedPropIds", "property", "value", "params", "label",
    "token", "words", "like", "text",
)  # fmt: skip
WORDS = (
    "START_TRAINING", "ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "pin", "drop", "undo", "7.1700000000", "../../etc",
    "..pulse.data...announcer.children..", "url", "pathname", "\x00", "\n", "<Choices>", "%s", "{}",
)  # fmt: skip

odd_numbers = st.sampled_from([0, -1, 7, 2**31, 2**63, 2**70, 10**300, -(2**70), 1e308, 5e-324, True, False, None])
texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=30))
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=10))
values = st.recursive(
    st.one_of(odd_numbers, texts, st.integers(), st.floats(allow_nan=True)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=5)),
    max_leaves=20,
)
bodies = st.one_of(
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=6).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    st.integers(1, 4000).map(lambda deep: b'{"project":' * deep + b"1" + b"}" * deep),
    st.integers(1, 6000).map(lambda digits: b'{"project":{"id":' + b"9" * digits + b"}}"),
)
paths = st.one_of(
    st.sampled_from(PATHS),
    st.tuples(st.sampled_from(PATHS), texts).map(lambda pair: f"{pair[0]}/{quote(pair[1], safe='')}"),
    st.tuples(st.sampled_from(PATHS), names, texts).map(lambda p: f"{p[0]}?{quote(p[1])}={quote(p[2])}"),
    st.integers(0, 10**30).map(lambda number: f"/dashboard/api/projects/{number}/overview"),
)
header_texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-7", ";"]),
        "Authorization": header_texts,
        "Origin": header_texts,
        "Host": header_texts,
        "Range": header_texts,
        "If-None-Match": header_texts,
        "Accept-Encoding": header_texts,
        "Cookie": header_texts,
        "X-Active-Learning-Webhook": header_texts,
        "X-Forwarded-For": header_texts,
    },
)


@dataclass(frozen=True)
class Malformed:
    """One request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


READ = (
    "/setup", "/predict", "/webhook", "/validate", "/job_status", "/versions", "/rounds/cancel",
    "/dashboard/api/projects/7/wishes", "/dashboard/_dash-update-component", "/dashboard/api/projects/7/bulk",
    "/dashboard/api/projects/7/bulk/preview", "/dashboard/api/projects/7/bulk/undo",
)  # fmt: skip
"""Routes that read a body."""
plain: st.SearchStrategy[dict[str, str]] = st.just({})
read = st.builds(Malformed, st.just("POST"), st.sampled_from(READ), bodies, plain)
anything = st.builds(Malformed, st.sampled_from(METHODS), paths, bodies, st.one_of(plain, headers))
malformed = st.one_of(read, read, anything)
"""Most get as far as to be read: a foreign Host, say, is refused before anything else is looked at."""


def check_answer(server: AttackedServer, request: Malformed) -> int:
    """Send one; the status of the answer, which is never our fault and shows nothing of our inside."""
    given: dict[str, Any] = {"Content-Type": "application/json"} | request.headers
    sent = server.http.build_request(request.method, request.path, content=request.body, headers=given)
    try:
        answer = server.http.send(sent)
    except httpx.RemoteProtocolError:  # it closed the connection after a refusal that it gave early
        return 0
    assert answer.status_code < 500 or answer.status_code == 501, (request, answer.text[:300])
    assert "Traceback" not in answer.text
    return answer.status_code
