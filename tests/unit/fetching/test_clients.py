"""Whom our clients trust, and when they ask through a proxy."""

import re
import ssl

import httpx
import pytest
from support.local_server import LocalServerFactory
from support.nginx import front
from support.places import REPOSITORY

from ml_backend.config import Settings
from ml_backend.fetching.clients import ask, environment_proxy, http_client, tls_context
from ml_backend.fetching.urls import origin_of

MAKERS = {
    "LabelStudioClient": "label_studio/connection.py",
    "httpx.Client": "fetching/clients.py",
    "httpx.get": "",
    "httpx.post": "",
    "httpx.request": "",
    "httpx.stream": "",
}
"""What connects → the one module that may make it, where CA_FILE and the names of Label Studio are known."""


def test_one_place_makes_each_client():
    calls = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, MAKERS))})\(")
    wrong = [
        (name, found)
        for path in sorted((REPOSITORY / "ml_backend").rglob("*.py"))
        for found in calls.findall(re.sub(r"class \w+\(.*", "", path.read_text(encoding="utf-8")))
        if (name := path.relative_to(REPOSITORY / "ml_backend").as_posix()) != MAKERS[found]
    ]
    assert wrong == []


@pytest.fixture
def proxied(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")


def test_this_machine_is_asked_straight(proxied, local_server: LocalServerFactory):
    served = local_server(lambda call: (200, "text/plain", b"here"))
    assert ask("GET", served.url, timeout=10).text == "here"
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert environment_proxy(httpx.URL(f"http://{host}:8080/x")) is None
    assert environment_proxy(httpx.URL("http://studio:8080/x")) == "http://127.0.0.1:9"


def test_others_through_the_proxy(proxied):
    with pytest.raises(httpx.ConnectError), http_client("http://studio.example", timeout=10) as client:
        client.get("http://studio.example/")


def test_an_authority_of_ones_own_is_trusted_beside_the_public_ones(tmp_path):
    made = front(tmp_path).ca_file
    before, after = (tls_context(file).cert_store_stats()["x509_ca"] for file in (None, made))
    assert after == before + 1
    assert Settings(ca_file=made).ca_file == made
    assert tls_context().verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://LocalHost", "http://localhost:80"),
        ("http://127.0.0.1:8080/ls", "http://localhost:8080"),
        ("https://[::1]/x", "https://localhost:443"),
        ("https://Studio.example.:443/ls", "https://studio.example:443"),
        ("http://studio@evil:80/", "http://evil:80"),
    ],
)
def test_whom_a_url_means(url, origin):
    assert origin_of(url) == origin
