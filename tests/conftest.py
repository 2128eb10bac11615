"""What all tests share: one Label Studio and one Redis for all that one worker runs, real data, markers."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import hypothesis
import pytest
from support.label_studio import label_studio, make_project
from support.local_server import local_server
from support.logs import logs
from support.places import REPOSITORY
from support.redis_server import redis_url
from support.served import settings
from support.texts import model

from ml_backend.cli.common import console, messages

__all__ = ["label_studio", "local_server", "logs", "make_project", "model", "redis_url", "settings"]
"""Fixtures that are not written here."""
TESTS = Path(__file__).parent
MARKED = {"live", "browser", "endurance", "peers"}
"""Folders whose tests carry the folder's name as a marker."""
SERVERS = {"label_studio", "redis_url"}
"""Fixtures that start something which a machine may lack, or which takes long."""


def pytest_configure() -> None:
    """Show wide tables; look for no garbage among modules and tests, which all stay."""
    gc.disable()
    for shown in (console, messages):
        shown.width = 200
    # An example that takes long to make or to try on a busy machine is no fault; and whether a change is right is not
    # to depend on what was drawn this time: `make endurance` looks further.
    slow = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("the same each time", derandomize=True, database=None, **slow)
    hypothesis.settings.register_profile("others each time", max_examples=1000, print_blob=True, **slow)
    hypothesis.settings.load_profile("the same each time")
    # Started by a script with "&", pytest has Ctrl-C ignored, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Most tests of texts are about the loop: the encoder's import would cost each of their processes six seconds.
    # test_sentences.py, test_demo.py and test_browser.py use it.
    os.environ["TEXT_MODEL"] = "headlines"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder; nothing in ``unit`` may ask for a server."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in MARKED:
            item.add_marker(folder)
        wanted = SERVERS.intersection(getattr(item, "fixturenames", ()))
        if folder == "unit" and wanted:
            raise pytest.UsageError(
                f"{item.nodeid} needs {', '.join(sorted(wanted))}, which unit tests go without: move it to tests/live."
            )


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: ACTIVE_LEARNING_TEST_DATA, else shared/data beside the repository."""
    folder = Path(os.environ.get("ACTIVE_LEARNING_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        reason = f"no real data in {folder}: set ACTIVE_LEARNING_TEST_DATA to a folder with mnist/ and headlines/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
