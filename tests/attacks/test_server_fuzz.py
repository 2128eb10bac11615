"""Malformed requests over all routes: no answer of 5xx, no traceback, no memory that grows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support.attacks import Attack, AttackedServer
from support.malformed import Malformed, check_answer, malformed

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(attack: Attack) -> AttackedServer:
    server = attack(LOG_LEVEL="WARNING")
    server.http.get("/dashboard/_dash-layout")
    server.http.post("/predict", json={})
    return server


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(request=malformed)
def test_a_malformed_request_is_no_error_of_ours(server: AttackedServer, request: Malformed) -> None:
    check_answer(server, request)


def test_nothing_of_it_is_left(server: AttackedServer) -> None:
    assert "Traceback" not in server.log
    assert server.is_healthy()
    stores = list(server.model_dir.rglob("project-*")) if server.model_dir.exists() else []
    assert stores == [], "made-up projects leave nothing"
