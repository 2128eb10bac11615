"""Clients of the server, and requests as Label Studio sends them."""

import pytest
from support.served import UID

from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.server import create_app
from ml_backend.web.projects import KnownProjects

CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="yes"/><Choice value="no"/></Choices></View>'
)
UNSUPPORTED = CONFIG.replace("<Text", "<Audio")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
TASKS = [{"id": 1, "project": 7, "data": {"text": "flood"}}, {"id": 2, "project": 7, "data": {"text": "football"}}]


def projects(settings):
    """Label Studio has two projects, 7 and 8."""
    return KnownProjects(settings, ask={7: UID, 8: "8.1"}.get)


@pytest.fixture
def client(settings):
    return create_app(settings, projects=projects(settings)).test_client()


@pytest.fixture
def trainer(settings):
    """A client of a backend with a token, and the projects that it ran rounds for."""
    ran = []

    def run(request):
        ran.append(request.project_id)
        return {"queue": "q"}

    worker = LocalRoundQueue(run)
    settings = settings.model_copy(update={"label_studio_api_key": "x"})
    app = create_app(settings, rounds=worker, projects=projects(settings))
    return app.test_client(), ran, worker


def setup_body(**changes):
    return {"project": UID, "schema": CONFIG, "hostname": "http://x", "access_token": TOKEN} | changes


def predict_body(**changes):
    return {"project": UID, "label_config": CONFIG, "tasks": TASKS, "params": {}} | changes
