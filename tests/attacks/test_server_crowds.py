"""Clients that are slow, idle or many: the backend goes on answering the others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.attacks import Attack, AttackedServer

PARTIAL_HEADERS = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-"
PARTIAL_BODY = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
)


@pytest.fixture(scope="module")
def server(attack: Attack) -> AttackedServer:
    return attack()


@pytest.fixture
def crowd(server: AttackedServer) -> Iterator[list[socket.socket]]:
    """Connections that are closed at the end; ``crowd.append`` adds one."""
    with ExitStack() as held:
        found: list[socket.socket] = []
        yield found
        for connection in found:
            held.callback(connection.close)


@pytest.mark.parametrize("said", [b"", PARTIAL_HEADERS, PARTIAL_BODY], ids=["nothing", "headers", "body"])
@pytest.mark.parametrize("count", [105, 600])
def test_health_answers_beside_a_crowd(
    server: AttackedServer, crowd: list[socket.socket], said: bytes, count: int
) -> None:
    for _ in range(count):
        connection = server.connect()
        crowd.append(connection)
        try:
            connection.sendall(said)
        except ConnectionError:  # it was dropped already, as one of too many
            continue
    assert server.is_healthy()


@pytest.mark.parametrize("said", [b"", PARTIAL_HEADERS], ids=["nothing", "headers"])
def test_who_says_too_little_for_too_long_is_dropped(server: AttackedServer, said: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(said)
        assert connection.recv(1) == b"", "closed by the server, before our own patience ended"
    assert server.is_healthy()


def test_many_requests_of_one_kind_keep_no_other_kind_waiting(server: AttackedServer) -> None:
    """Twenty bodies of 8 MB are read and parsed at once; health and webhooks have threads of their own."""
    body = b'{"tasks": [%s]}' % b",".join([b'{"id": 1, "data": {"text": "flood"}}'] * 4000)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(server.connect()).sendall(head % len(body) + body)
        assert server.is_healthy()
        answer = server.http.post("/webhook", json={"action": "ANNOTATION_CREATED", "project": {"id": 7}})
        assert answer.status_code == 200
