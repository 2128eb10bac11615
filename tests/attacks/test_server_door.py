"""Who is let in: names, passwords, bodies that are refused before they are read."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.attacks import Attack, AttackedServer

PASSWORD = {"BASIC_AUTH_USER": "label-studio", "BASIC_AUTH_PASS": "correct horse battery"}
RIGHT = ("label-studio", "correct horse battery")
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def open_server(attack: Attack) -> AttackedServer:
    return attack()


@pytest.fixture(scope="module")
def locked(attack: Attack) -> AttackedServer:
    return attack(**PASSWORD)


def answer_of(connection: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except ConnectionError:  # it closed with our bytes unread
        pass
    return found


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_refuses_to_listen_beyond_this_machine_without_a_password(host: str, tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    environment["MODEL_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "ml_backend", "serve", "--host", host, "--port", "0"]
    ended = subprocess.run(
        command,
        env=environment | {"MODEL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "no password is set" in ended.stderr
    assert "--insecure" in ended.stderr


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "a@b", "[::1", "é"])
def test_a_foreign_host_is_not_answered(open_server: AttackedServer, host: str) -> None:
    host = host.format(port=open_server.port)
    for path in ("/status", "/dashboard/api/projects", "/health"):
        answer = open_server.http.get(path, headers={b"Host": host.encode()})
        assert answer.status_code in (400, 421), path


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}", "127.0.0.2"])
def test_our_own_names_are_answered(open_server: AttackedServer, host: str) -> None:
    answer = open_server.http.get("/status", headers={"Host": host.format(port=open_server.port)})
    assert answer.status_code == 200


def test_names_that_were_allowed_are_answered(attack: Attack) -> None:
    server = attack(ALLOWED_HOSTS="al.example.org, ml-backend")
    for host in ("al.example.org", "ml-backend:9090"):
        assert server.http.get("/status", headers={"Host": host}).status_code == 200
    assert server.http.get("/status", headers={"Host": "example.org"}).status_code == 421


def test_a_page_that_has_its_name_resolve_to_us_changes_nothing(open_server: AttackedServer) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    answer = open_server.http.post("/dashboard/api/projects/1/wishes", json={}, headers=headers)
    assert answer.status_code == 421


def test_a_huge_body_without_a_password_is_refused_before_it_is_read(locked: AttackedServer) -> None:
    for framing in (b"Content-Length: 524288000", b"Transfer-Encoding: chunked"):
        with locked.connect() as stranger:
            stranger.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n")
            # Not one byte of the body was sent, and the answer is there.
            assert answer_of(stranger).startswith(b"HTTP/1.1 401 ")
    assert locked.is_healthy()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(locked: AttackedServer) -> None:
    login = base64.b64encode(":".join(RIGHT).encode())
    for path, length in ((b"/predict", 33 * MEGABYTE), (b"/setup", 5 * MEGABYTE)):
        with locked.connect() as friend:
            head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n"
            friend.sendall(head % (path, login, length))
            assert answer_of(friend).startswith(b"HTTP/1.1 413 ")


def test_guesses_at_the_password_are_slowed_and_logged(attack: Attack) -> None:
    server = attack(**PASSWORD, LOG_FORMAT="json")  # one of its own: this address has to wait afterwards
    answers = [server.http.get("/status", auth=("label-studio", f"swordfish {n}")).status_code for n in range(60)]
    assert answers.count(401) == 10
    assert answers[10:] == [429] * 50
    held = server.http.get("/status", auth=RIGHT)
    assert held.status_code == 429, "the right one is not looked at, either: else guessing would go on"
    assert 0 < int(held.headers["Retry-After"]) <= 60
    assert "10 wrong passwords from 127.0.0.1; it has to wait 60 s" in server.log
    assert "swordfish" not in server.log


def test_guesses_in_front_of_large_bodies_are_counted_too(attack: Attack) -> None:
    server = attack(**PASSWORD, LOG_LEVEL="WARNING")
    wrong = base64.b64encode(b"label-studio:wrong")
    answers = []
    for _ in range(15):
        with server.connect() as stranger:
            head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\n"
            stranger.sendall(head % wrong + b"Content-Length: 999999\r\n\r\n")
            answers.append(answer_of(stranger)[9:12])
    assert answers == [b"401"] * 10 + [b"429"] * 5


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health"), ("GET", "/nothing"), ("POST", "/predict"), ("GET", "/status"), ("GET", "/dashboard/")],
)
def test_every_answer_binds_the_browser(open_server: AttackedServer, method: str, path: str) -> None:
    answer = open_server.http.request(method, path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


def test_what_is_no_http_is_refused_in_the_same_form(open_server: AttackedServer) -> None:
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        b"\0" * 64 + b"\r\n\r\n",
    ):
        with open_server.connect() as stranger:
            stranger.sendall(garbage)
            answer = answer_of(stranger)
            assert answer[9:12] in (b"400", b""), garbage
            assert b"Traceback" not in answer
    assert httpx.get(f"{open_server.url}/health", timeout=60).status_code == 200
