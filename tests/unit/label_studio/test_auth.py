"""Tokens: which kind travels how, and when a personal access token is exchanged."""

import base64
import json
from threading import Thread

import httpx
import pytest

from ml_backend.errors import LabelStudioRejected, LabelStudioUnauthorized, LabelStudioUnreachable
from ml_backend.label_studio.auth import MARGIN, TokenAuth, claims_of
from ml_backend.label_studio.http import LabelStudioHttp
from ml_backend.label_studio.retries import RetryPolicy

URL = "http://ls.test"
NOW = 1_800_000_000.0
LIFE = 300.0
LEGACY = "0123456789abcdef0123456789abcdef01234567"


def web_token(**claims):
    parts = [{"alg": "HS256"}, claims, "signature"]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


PERSONAL = web_token(token_type="refresh", exp=NOW + 1e6)


class Server:
    """A Label Studio's token exchange, its clock, and whoever it lets in."""

    def __init__(self):
        self.now, self.exchanges, self.asked = NOW, 0, []
        self.refusals = []

    def __call__(self, request):
        if request.url.path == "/api/token/refresh/":
            assert json.loads(request.content) == {"refresh": PERSONAL}
            assert "Authorization" not in request.headers
            if self.refusals:
                return self.refusals.pop(0)
            self.exchanges += 1
            return httpx.Response(200, json={"access": web_token(exp=self.now + LIFE, n=self.exchanges)})
        kind, _, token = request.headers["Authorization"].partition(" ")
        self.asked.append(kind)
        ok = token == LEGACY if kind == "Token" else claims_of(token)["exp"] > self.now
        return httpx.Response(200 if ok else 401, json={})

    def client(self, token=PERSONAL, clock=None):
        auth = TokenAuth(URL, token, clock=clock or (lambda: self.now))
        return httpx.Client(auth=auth, transport=httpx.MockTransport(self), base_url=URL)


@pytest.fixture
def server():
    return Server()


def test_a_legacy_token_travels_as_it_is(server):
    with server.client(LEGACY) as client:
        assert client.get("/x").status_code == 200
    assert (server.asked, server.exchanges) == (["Token"], 0)


def test_an_access_token_is_used_until_shortly_before_its_end(server):
    with server.client() as client:
        for later, exchanges in ((0, 1), (LIFE - MARGIN - 1, 1), (LIFE - MARGIN + 1, 2), (2 * LIFE, 3)):
            server.now = NOW + later
            assert client.get("/x").status_code == 200
            assert server.exchanges == exchanges
    assert server.asked == ["Bearer"] * 4


def test_where_our_clock_is_behind_a_refusal_leads_to_one_exchange(server):
    with server.client(clock=lambda: NOW) as client:
        assert client.get("/x").status_code == 200
        server.now = NOW + LIFE + 1
        assert client.get("/x").status_code == 200
    assert server.exchanges == 2
    assert server.asked == ["Bearer"] * 3


def test_a_lasting_refusal_is_told_after_one_exchange(server):
    def refuse(request):
        return server(request) if request.url.path.startswith("/api/token") else httpx.Response(401)

    auth = TokenAuth(URL, PERSONAL, clock=lambda: NOW)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(refuse), base_url=URL) as client:
        assert client.get("/x").status_code == 401
    assert server.exchanges == 2


def test_threads_exchange_once(server):
    with server.client() as client:
        threads = [Thread(target=client.get, args=("/x",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (server.exchanges, len(server.asked)) == (1, 8)


def test_what_is_no_usable_token_is_told_without_repeating_it():
    for token, why in (
        ("tökén", "characters"),
        ("line\nbreak", "characters"),
        (web_token(token_type="refresh", exp=NOW - 1), "expired"),
        (web_token(token_type="refresh"), "expired"),
    ):
        with pytest.raises(LabelStudioUnauthorized, match=why) as caught:
            TokenAuth(URL, token, clock=lambda: NOW)
        assert token not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", f"{LEGACY}.x.y", "é.é.é", web_token()[:-30]])
def test_what_is_no_web_token_has_no_claims(token):
    assert claims_of(token) in (None, {})


@pytest.mark.parametrize(
    ("refusal", "error", "tries"),
    [
        (httpx.Response(401, json={"detail": "Token is blacklisted"}), LabelStudioUnauthorized, 1),
        (httpx.Response(503, text="busy"), LabelStudioRejected, 3),
        (httpx.Response(200, text="<html>"), LabelStudioUnreachable, 1),
    ],
    ids=["refused", "busy", "no Label Studio"],
)
def test_an_exchange_that_fails_is_one_of_our_errors(server, refusal, error, tries):
    server.refusals = [refusal] * 9
    patience = RetryPolicy(tries=3, first_wait=0, longest_wait=0, sleep=lambda _: None)
    client = LabelStudioHttp(URL, PERSONAL, patience=patience, clock=lambda: NOW, transport=httpx.MockTransport(server))
    with pytest.raises(error) as caught:
        client.request("POST", "api/projects", once=True)
    client.close()
    assert PERSONAL not in str(caught.value)
    assert 9 - len(server.refusals) == tries
    assert server.asked == []
