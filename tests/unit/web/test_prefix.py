"""The path under which a proxy serves the backend: believed of one proxy, and found in all that the pages name."""

import re

import pytest
from bench.dashboard_store import make_store
from werkzeug.test import Client

from ml_backend.config import Settings
from ml_backend.server import create_app
from ml_backend.web.prefix import TrustedPrefix

PROXY = "10.0.0.7"


@pytest.fixture
def ask(tmp_path):
    make_store(tmp_path, 1, versions=1)
    client = Client(TrustedPrefix(create_app(Settings(model_dir=tmp_path)).wsgi_app, PROXY))

    def get(path, prefix="/ml", address=PROXY):
        return client.get(path, headers={"X-Forwarded-Prefix": prefix}, environ_base={"REMOTE_ADDR": address}).text

    return get


def test_pages_name_their_files_below_the_path(ask):
    page = ask("/dashboard/")
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert named
    assert all(name.startswith(("/ml/dashboard/", "data:")) for name in named)
    assert re.search(r"requests_pathname_prefix.{1,12}ml.{1,6}dashboard", page), "for what Dash asks"
    assert 'href="/ml/dashboard/docs/howto/dashboard"' in ask("/dashboard/docs/")
    assert 'href="/dashboard/docs/howto/dashboard"' in ask("/dashboard/docs/", prefix=""), "beside it, straight"


def test_documents_do_not_mix_the_paths(ask):
    assert 'href="/ml/dashboard/docs/' in ask("/dashboard/docs/howto/tune")
    assert "/ml/" not in ask("/dashboard/docs/howto/tune", prefix="")


@pytest.mark.parametrize(
    ("prefix", "address"), [("/ml", "10.0.0.8"), ("//evil", PROXY), ('/"><script>', PROXY), ("/a/../b//", PROXY)]
)
def test_nobody_else_and_no_other_text_is_believed(ask, prefix, address):
    assert 'href="/dashboard/docs/howto/dashboard"' in ask("/dashboard/docs/", prefix, address)
