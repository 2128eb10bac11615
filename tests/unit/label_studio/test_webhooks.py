"""To which addresses Label Studio makes webhooks."""

import pytest

from ml_backend.label_studio.webhooks import PRIVATE_ADDRESS, why_refused


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "ml-backend.internal", "al.example.org", "10.3.0.1", "LS.Example.ORG"]
)
def test_hosts_that_are_taken(host):
    assert why_refused(f"http://{host}:9090/webhook") == PRIVATE_ADDRESS


@pytest.mark.parametrize(
    ("host", "better"),
    [("ml-backend", "ml-backend"), ("ml_backend.internal", "ml-backend"), ("a.b1", "a"), ("-a.example", "a")],
)
def test_names_that_are_not(host, better):
    assert f'"{better}.internal"' in why_refused(f"http://{host}:9090/webhook")
