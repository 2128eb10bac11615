"""The whole product beside a real Label Studio."""

import pytest
import requests
from support.serving import ServedApp, forget_client
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.jobs.local_queue import LocalRoundQueue
from ml_backend.jobs.scheduler import Scheduler
from ml_backend.label_studio.connection import make_client
from ml_backend.label_studio.setup import connect_backend
from ml_backend.rounds.from_settings import run_request
from ml_backend.rounds.log import rounds
from ml_backend.server import create_app, make_doorkeeper
from ml_backend.store.project_store import open_project

QUICK = {
    "strategy": "entropy",
    "train_after_labels": 4,
    "train_after_seconds": 86_400.0,  # how long some answers take is the machine's affair: so they start no round
    "hyperparameters": {"steps": 20},
}
SOON = 0.5
"""Seconds after which a round starts where a test wants one by the time."""


class Installation:
    """The product as ``scripts/serve.py`` starts it, on a free port."""

    def __init__(self, settings, faults=()):
        self.settings, self.faults = settings, list(faults)
        worker = LocalRoundQueue(self.run)
        self.looks = 0
        """How often the scheduler began to look at a project."""
        self.scheduler = Scheduler(settings, worker, client=self._client)
        keeper = make_doorkeeper(settings)
        app = create_app(settings, rounds=worker, scheduler=self.scheduler, doorkeeper=keeper)
        self._served = ServedApp(app, keeper, trusted_proxy=settings.trusted_proxy)
        self.url = self._served.url
        self.scheduler.start()

    def _client(self):
        self.looks += 1
        return make_client(self.settings)

    def looked(self):
        """Wait until two looks that begin from now on are over: what they found is in the status by then."""
        before = self.looks
        until(lambda: self.looks > before + 2, "polling")

    def run(self, request):
        if self.faults:
            raise self.faults.pop(0)
        return run_request(request, settings=self.settings)

    def close(self):
        self.scheduler.stop()
        self._served.close()
        forget_client(self.settings)

    def status(self, project):
        user, secret = self.settings.basic_auth_user, self.settings.basic_auth_pass
        auth = (user, secret.get_secret_value()) if secret else None
        answer = requests.get(f"{self.url}/status", auth=auth, timeout=60)
        return answer.json()["projects"].get(str(project.id)) or {}

    def rounds(self, project):
        store = open_project(self.settings.model_dir, project.id)
        return rounds(store) if store else []


@pytest.fixture
def install(label_studio, tmp_path, monkeypatch):
    """Start the product: ``install(faults, **settings)``."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    running = []

    def start(faults=(), **changes):
        known = {
            "label_studio_url": label_studio.url,
            "label_studio_api_key": label_studio.token,
            "model_dir": tmp_path / "versions",
            "queue_size": 8,
            "poll_seconds": 0,
        }
        running.append(Installation(Settings(**known | changes), faults))
        return running[-1]

    yield start
    for installation in running:
        installation.close()


def connect(project, url, settings, **params):
    """Connect as the script does, and type extra params into the backend's settings."""
    connect_backend(project.client, project.id, url, settings)
    (row,) = project.client.backends(project.id)
    body = {"extra_params": QUICK | params, "project": project.id, "url": url, "title": row["title"]}
    if settings.basic_auth_user:
        body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": settings.basic_auth_user}
        body |= {"basic_auth_pass": settings.basic_auth_pass.get_secret_value()}
    project.client.request("PATCH", f"api/ml/{row['id']}", body=body)


def annotate(project, count):
    """Label what Label Studio serves next, as an annotator does; the tasks."""
    tasks = []
    for _ in range(count):
        task = project.client.next_task(project.id)
        label = "related" if "flood" in task["data"]["text"] else "not related"
        project.client.annotate(task["id"], project.answer(label))
        tasks.append(task["id"])
    return tasks
