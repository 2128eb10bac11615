"""A healthy installation, of which tests break one thing at a time, and the doctor's command."""

import base64
import os

import pytest
from support.connected import WORDS, connect
from support.rounds import round_of
from support.serving import Backend
from typer.testing import CliRunner

from ml_backend.cli import doctor
from ml_backend.config import Settings
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine, mend
from ml_backend.label_studio.webhooks import ensure_webhook
from ml_backend.rounds.from_settings import workspace
from ml_backend.store.project_store import ProjectStore

QUEUE = 6
AUTH = {"basic_auth_user": "studio", "basic_auth_pass": "right"}
NOT_PROVED = {"Task locks", "Order"}
"""Skipped in a healthy installation."""


class Installation:
    """One project with a model, an order and a connected backend, and the settings that its owner would export."""

    def __init__(self, project, server):
        self.project, self.client, self.server = project, project.client, server
        self.settings = server.settings
        self.given_url = None

    @property
    def store(self):
        return ProjectStore(self.settings.model_dir, self.project.project.uid)

    def round(self, **options):
        return round_of(workspace(self.settings, self.client), self.project.id, **options)

    def patch(self, **changes):
        self.client.request("PATCH", f"api/projects/{self.project.id}", body=changes)

    def context(self, **changes):
        known = {"given_backend_url": self.given_url}
        return Context(self.settings, self.project.id, **known | changes)

    def findings(self, **changes):
        with self.context(**changes) as context:
            return {finding.name: finding for finding in examine(context, CHECKS)}

    def wrong(self):
        """What is neither right nor skipped."""
        return {name: item for name, item in self.findings().items() if item.status in ("warning", "error")}

    def only(self, name, status):
        found = self.wrong()
        assert {key: item.status for key, item in found.items()} == {name: status}
        assert found[name].remedy
        return found[name]

    def mended(self):
        """What --fix did; afterwards all is right."""
        with self.context() as context:
            findings = list(examine(context, CHECKS))
        with self.context() as context:
            done = list(mend(context, findings, CHECKS))
        assert all(item.done for item in done), done
        assert self.wrong() == {}
        return {item.name: item.message for item in done}

    def environment(self, **changes):
        known = {
            "LABEL_STUDIO_URL": self.settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": self.settings.label_studio_api_key.get_secret_value(),
            "KEEP_QUEUES_SECONDS": "0",
            "MODEL_DIR": str(self.settings.model_dir),
            "BASIC_AUTH_USER": AUTH["basic_auth_user"],
            "BASIC_AUTH_PASS": AUTH["basic_auth_pass"],
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "OMP_WAIT_POLICY") if name in os.environ}
        return kept | known | changes


def webhooks(installation):
    return installation.client.webhooks(installation.project.id)


@pytest.fixture
def installation(label_studio, make_project, tmp_path, monkeypatch):
    """A healthy installation with basic auth."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(24)]
    for number, row in enumerate(rows[:10]):
        row["annotations"] = [{"result": project.answer(("related", "not related")[number % 2])}]
        if number < 2:
            row["data"]["split"] = "evaluation"
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    server = Backend(
        Settings(
            label_studio_url=label_studio.url,
            label_studio_api_key=label_studio.token,
            model_dir=tmp_path / "versions",
            queue_size=QUEUE,
            keep_queues_seconds=0,
            **AUTH,
        )
    )
    more = {"auth_method": "BASIC_AUTH", "basic_auth_user": "studio", "basic_auth_pass": "right"}
    connect(project, server.url, **more)
    ensure_webhook(project.client, project.id, server.url, server.settings)
    made = Installation(project, server)
    made.round(overrides={"hyperparameters": {"steps": 5}})
    yield made
    server.close()


@pytest.fixture
def run(installation, monkeypatch):
    """Run the command in this process."""

    def invoke(*arguments, code=0, **env):
        for name, value in installation.environment(**env).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(doctor.app, ["--project", str(installation.project.id), *arguments])
        assert result.exit_code == code, result.output
        assert installation.settings.label_studio_api_key.get_secret_value() not in result.output
        assert base64.b64encode(b"studio:right").decode() not in result.output
        return result

    return invoke
