"""One fetch against servers that misbehave: time, size, redirects, addresses."""

import pytest
from support.misbehaving import answer, drip, gzip_bomb, misbehaving, redirect
from support.waiting import until

from ml_backend.errors import BadItemError
from ml_backend.fetching.addresses import AddressRules, parse_rules
from ml_backend.fetching.budget import Budget
from ml_backend.fetching.fetcher import Fetcher, FetchLimits

__all__ = ["misbehaving"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
OPEN = AddressRules(local=True)
LOOPBACK = ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0.0.0.0", "localhost",
            "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]  # fmt: skip


def fetcher(rules=OPEN, **options):
    limits = {name: options.pop(name) for name in list(options) if name in FetchLimits.__dataclass_fields__}
    return Fetcher(rules, FetchLimits(**limits), sleep=lambda seconds: None, **options)


@pytest.mark.parametrize(
    "head", [HEAD, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""]
)
def test_a_byte_now_and_then_does_not_prolong_a_fetch(misbehaving, head):
    sent = []
    server = misbehaving(drip(head, seconds=0.1, sent=sent))
    with pytest.raises(BadItemError, match=r"not there after 1 s|cannot fetch"):
        fetcher(seconds=1).fetch(server.url)
    assert len(sent) < 300  # it would go on for a thousand


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_is_not_met_under_any_name(misbehaving, host):
    server = misbehaving(answer(b"secret"))
    with pytest.raises(BadItemError, match="MEDIA_ALLOW"):
        fetcher(AddressRules()).fetch(f"http://{host}:{server.port}/")
    assert server.requests == []
    assert fetcher(OPEN).fetch(f"http://{host}:{server.port}/") == b"secret"


def test_a_redirect_is_checked_again(misbehaving):
    secret = misbehaving(answer(b"secret"))
    door = misbehaving(redirect(secret.url))
    rules = parse_rules("localhost", local=False)
    with pytest.raises(BadItemError, match=r"127\.0\.0\.1 is an address of this machine"):
        fetcher(rules).fetch(f"http://localhost:{door.port}/")
    assert (len(door.requests), len(secret.requests)) == (1, 0)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://x/", "gopher://127.0.0.1:6379/_", "http://169.254.169.254/"]
)
def test_a_redirect_to_what_is_never_fetched(misbehaving, target):
    door = misbehaving(redirect(target))
    with pytest.raises(BadItemError, match=r"no http|never fetched"):
        fetcher().fetch(door.url)


def test_a_name_that_changes_its_address_gains_nothing(misbehaving):
    """DNS rebinding: what was checked is what is connected to."""
    server = misbehaving(answer(b"secret"))
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["192.0.2.1"]

    rules = parse_rules("192.0.2.0/24", local=False)
    with pytest.raises(BadItemError, match="cannot fetch"):
        fetcher(rules, resolve=rebinding, seconds=1).fetch(f"http://pictures.example:{server.port}/")
    assert asked[0] == "pictures.example"
    assert server.requests == []


def test_one_bad_address_of_several_is_enough(misbehaving):
    server = misbehaving(answer(b"secret"))
    rules = parse_rules("192.0.2.0/24", local=False)
    with pytest.raises(BadItemError, match="MEDIA_ALLOW"):
        fetcher(rules, resolve=lambda *_: ["192.0.2.1", "127.0.0.1"]).fetch(f"http://pictures.example:{server.port}/")
    assert server.requests == []


def test_a_circle_of_redirects(misbehaving):
    server = misbehaving(redirect("/again"))
    with pytest.raises(BadItemError, match="more than 5 redirects"):
        fetcher().fetch(server.url)
    assert len(server.requests) == 6


@pytest.mark.parametrize("headers", [["Content-Encoding: gzip"], ["Content-Encoding: br"], []])
def test_bodies_that_are_too_large(misbehaving, headers):
    body = gzip_bomb(20) if headers else bytes(1 << 21)
    with pytest.raises(BadItemError, match=r"larger than 1 MiB|was not asked for"):
        fetcher(most_bytes=1 << 20).fetch(misbehaving(answer(body, *headers)).url)


def test_a_host_that_stays_silent_is_asked_three_times(misbehaving):
    server = misbehaving(drip(HEAD, seconds=60))
    one = fetcher(seconds=0.2)
    for number in range(8):
        with pytest.raises(BadItemError):
            one.fetch(f"{server.url}/{number}")
    until(lambda: len(server.requests) >= 3, "its thread's turn")
    assert len(server.requests) == 3


def test_what_is_over_the_budget_is_left_and_not_held_against_the_host(misbehaving):
    server = misbehaving(drip(HEAD, seconds=60))
    one, budget = fetcher(seconds=10), Budget(2.0)
    with budget.spend():
        for number in range(5):
            with pytest.raises(BadItemError, match="MEDIA_SECONDS"):
                one.fetch(f"{server.url}/{number}", budget)
    until(lambda: server.requests, "its thread's turn")
    assert len(server.requests) == 1
    with pytest.raises(BadItemError, match="MEDIA_SECONDS"):
        one.fetch(f"{server.url}/0", budget)


def test_a_password_in_a_url_is_sent_and_not_shown(misbehaving):
    server = misbehaving(answer(b"", status="404 Not Found"))
    with pytest.raises(BadItemError) as error:
        fetcher().fetch(f"http://ann:secret@127.0.0.1:{server.port}/x.png")
    assert "secret" not in str(error.value)
    assert b"Authorization: Basic YW5uOnNlY3JldA==" in server.requests[0]


def test_through_a_proxy(misbehaving):
    proxy = misbehaving(answer(b"content"))
    one = fetcher(AddressRules(), proxy_of=lambda url: proxy.url, resolve=lambda *_: ["8.8.8.8"])
    assert one.fetch("http://pictures.example/x.png") == b"content"
    assert proxy.requests[0].startswith(b"GET http://pictures.example/x.png ")
    with pytest.raises(BadItemError, match="MEDIA_ALLOW"):
        fetcher(AddressRules(), proxy_of=lambda url: proxy.url).fetch("http://127.0.0.1/x.png")
    assert len(proxy.requests) == 1
