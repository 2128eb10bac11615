"""Commands that come while another process runs a round of the project, as an import makes a backend do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY
from support.waiting import until

from ml_backend.rounds import progress
from ml_backend.rounds.log import rounds
from ml_backend.store.project_store import open_project

WORDS = ("flood in the river", "football match tonight")
HELD_ROUND = """
import sys, time
from pathlib import Path
from ml_backend.config import load_settings
from ml_backend.rounds.from_settings import client_of, workspace
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Silent
from ml_backend.rounds.request import RoundRequest

class Held(Silent):
    def step_started(self, name):
        while name == "fit" and not Path(sys.argv[2]).exists():
            time.sleep(0.05)

settings = load_settings()
client = client_of(settings)
record_round(workspace(settings, client), RoundRequest(int(sys.argv[1]), "time"), observer=Held())
client.close()
"""
"""A round in a process of its own, which stays in its second step until a file appears."""


class Held:
    """A project, and a round of it elsewhere that goes on when the test says so."""

    def __init__(self, project, label_studio, folder):
        self.project, self.root, self.gate = project, folder / "versions", folder / "go on"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        self.env = kept | {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": label_studio.token,
            "MODEL_DIR": str(self.root),
            "TEXT_MODEL": "headlines",
            "QUEUE_SIZE": "4",
        }
        self.errors = folder / "errors"
        self.processes = [self.start("-c", HELD_ROUND, str(project.id), str(self.gate))]
        until(lambda: self.store and "read" in str(progress.read(self.store).get("steps")), "the round elsewhere")

    @property
    def store(self):
        return open_project(self.root, self.project.id)

    def start(self, *arguments, **env):
        with self.errors.open("a", encoding="utf-8") as errors:
            return subprocess.Popen(
                [sys.executable, *arguments], env=self.env | env, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def command(self, name, *arguments, **env):
        script = str(REPOSITORY / "scripts" / f"{name}.py")
        self.processes.append(self.start(script, *arguments, "--project", str(self.project.id), **env))
        return self.processes[-1]

    def told(self):
        return self.errors.read_text(encoding="utf-8")

    def go_on(self):
        Path(self.gate).touch()


@pytest.fixture
def held(make_project, label_studio, tmp_path):
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(20)]
    for number, row in enumerate(rows[:6]):
        row["annotations"] = [{"result": project.answer(("related", "not related")[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    made = Held(project, label_studio, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def test_a_sync_joins_the_round_that_an_import_started(held):
    sync = held.command("sync", "--train")
    until(lambda: "A round for a change is under way" in held.told(), "the sync to join")
    assert sync.poll() is None
    held.go_on()
    told, _ = sync.communicate(timeout=180)
    assert sync.returncode == 0, held.told()
    assert f"Project {held.project.id} now serves" in told
    first, own = rounds(held.store)
    assert (first["trigger"], first["trained"], first["error"]) == ("time", True, None)
    assert (own["trigger"], own["trained"], own["error"]) == ("sync", False, None)  # nothing new to learn
    assert held.project.client.project(held.project.id).model_version == own["queue"]


def test_what_comes_to_nothing_is_not_the_projects_last_round(held):
    for arguments, env, words in (
        (("--now",), {}, "Another process is working on this project"),
        (("--train",), {"LABEL_STUDIO_API_KEY": "0" * 40}, "token"),
        (("--train",), {"LABEL_STUDIO_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
    ):
        refused = held.command("sync", *arguments, **env)
        refused.communicate(timeout=180)
        assert refused.returncode == 1
        assert words in held.told()
    assert "round failed" not in held.told()  # each command says it once
    assert rounds(held.store) == []
    held.go_on()
    until(lambda: rounds(held.store), "the end of the round")
    assert [(line["trigger"], line["error"]) for line in rounds(held.store)] == [("time", None)]
