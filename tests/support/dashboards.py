"""Stores with a dashboard over them."""

import pytest
from bench.dashboard_store import HOSTILE, make_store

from ml_backend.config import Settings
from ml_backend.dashboard.pages.registry import PAGES
from ml_backend.dashboard.services import Services
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.server import create_app

SECOND = "headlines-0002-00000002"
MANY = tuple(f"class {number} <b>{number}</b>" for number in range(100))
PATHS = [page.path for page in PAGES]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three projects: texts, images, and nothing but tasks; read only."""
    folder = tmp_path_factory.mktemp("stores")
    make_store(folder, 1, versions=2, texts=(HOSTILE,) * 60, title=HOSTILE)
    make_store(folder, 2, versions=1, kind="Image", labels=("<i>one</i>", "two", "three"), title="Digits")
    make_store(folder, 3, versions=0, evaluated=4, open_tasks=4)
    return folder


@pytest.fixture
def services(root):
    return Services(Settings(model_dir=root, label_studio_api_key="k" * 40), LocalRoundQueue(lambda *_: {}))


@pytest.fixture
def web(root):
    return create_app(Settings(model_dir=root)).test_client()


@pytest.fixture
def own(tmp_path):
    """A store that the test may change, and its services."""
    store = make_store(tmp_path, 1, versions=2, evaluated=30)
    return store, Services(Settings(model_dir=tmp_path, label_studio_api_key="k" * 40), LocalRoundQueue(lambda *_: {}))


def words(component):
    """All that a component shows, and where its links go."""
    if isinstance(component, list | tuple):
        return " ".join(map(words, component))
    if hasattr(component, "to_plotly_json"):
        props = component.to_plotly_json()["props"]
        return " ".join([words(props.get("children")), str(props.get("href", "")), str(props.get("aria-label", ""))])
    return "" if component is None else str(component)
