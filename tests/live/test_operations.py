"""Several machines on one real Label Studio, with a real Redis and a shared store."""

import threading

import pytest
from redis import Redis
from support.scraping import scrape
from support.waiting import until
from typer.testing import CliRunner

from ml_backend.cli import sync, versions
from ml_backend.config import Settings, load_settings
from ml_backend.doctor import sharing
from ml_backend.doctor.checks import CHECKS
from ml_backend.doctor.diagnosis import Context, examine
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.connection import make_client
from ml_backend.rounds.from_settings import run_request, workspace
from ml_backend.rounds.log import rounds
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Silent
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.server import create_app
from ml_backend.store.registry import stores_of

WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related")
EVALUATION, LABELLED, TASKS = 8, 8, 24
PARAMS = {"queue_size": 5, "samples": 4, "hyperparameters": {"steps": 30}}
AUTH = ("studio", "right-password")


class Installation:
    """One project, and machines that serve it: each with a folder of its own, all with one store and one Redis."""

    def __init__(self, project, url, token, root, redis_url):
        self.project = project
        self.common = {
            "label_studio_url": url,
            "label_studio_api_key": token,
            "store_url": f"file://{root / 'remote'}",
            "redis_url": redis_url,
            "basic_auth_user": AUTH[0],
            "basic_auth_pass": AUTH[1],
        }
        self.root = root
        self.used = set()
        self._labelled = EVALUATION + LABELLED

    def settings(self, machine, **changes):
        settings = load_settings(model_dir=self.root / machine, **self.common | changes)
        self.used.add(settings)
        return settings

    def environment(self, machine):
        return {name.upper(): value for name, value in self.common.items()} | {"MODEL_DIR": str(self.root / machine)}

    def web(self, machine):
        return create_app(self.settings(machine)).test_client()

    def script(self, app, machine, *arguments):
        stores_of.cache_clear()  # a script is a process of its own
        given = [*arguments, "--project", str(self.project.id)]
        result = CliRunner().invoke(app, given, env=self.environment(machine))
        assert result.exit_code == 0, result.output
        return result.output

    def store(self, machine):
        return stores_of(self.settings(machine)).get(self.project.project.uid)

    def label(self, count):
        for number in range(self._labelled, self._labelled + count):
            self.project.client.annotate(self.project.task_ids[number], self.project.answer(LABELS[number % 2]))
        self._labelled += count

    def predict(self, web):
        tasks = [{"id": i, "data": {"text": f"{WORDS[i % 2]} again"}} for i in self.project.task_ids[-8:]]
        now = self.project.project
        body = {"project": now.uid, "label_config": now.label_config, "tasks": tasks}
        answer = web.post("/predict", json=body, auth=AUTH)
        assert answer.status_code == 200, answer.json
        return answer.json


@pytest.fixture
def installation(label_studio, make_project, tmp_path, redis_url, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEXT_MODEL", "headlines")
    with Redis.from_url(redis_url) as client:
        client.flushall()
    rows = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(TASKS)]
    project = make_project(
        "headlines",
        [row | {"split": "evaluation"} for row in rows[:EVALUATION]] + rows[EVALUATION:],
        labels=[LABELS[number % 2] for number in range(EVALUATION + LABELLED)],
    )
    made = Installation(project, label_studio.url, label_studio.token, tmp_path, redis_url)
    body = {"project": project.project.uid, "schema": project.project.label_config, "extra_params": PARAMS}
    assert made.web("c").post("/setup", json=body, auth=AUTH).status_code == 200
    yield made
    for settings in made.used:
        make_client(settings).close()
    make_client.cache_clear()
    stores_of.cache_clear()


def test_what_one_machine_does_every_machine_serves(installation):
    """A round on one, /predict and /metrics on another, a sync there, and a rollback here again."""
    here, there = installation.settings("a"), installation.web("b")
    assert installation.predict(there)["model_version"] == "untrained"
    first = run_request(RoundRequest(installation.project.id), settings=here)
    assert first["version"].startswith("headlines-0001")
    assert (
        installation.store("a").manifest(first["version"]).training["hyperparameters"]["steps"] == 30
    )  # of c's /setup
    until(lambda: installation.predict(there)["model_version"] == first["queue"])
    assert installation.predict(there) == installation.predict(installation.web("a"))
    assert any(row["result"] for row in installation.predict(there)["results"])

    found = scrape(there, auth=AUTH)
    key = (str(installation.project.id),)
    metrics = first["metrics"]
    wanted = {
        "accuracy": metrics["accuracy"],
        "f_score_macro": metrics["f_macro"],
        "auc": metrics["auc"],
        "calibration_error": metrics["ece"],
        "labels": LABELLED,
        "open_tasks": TASKS - EVALUATION - LABELLED,
        "queue_tasks": PARAMS["queue_size"],
        "version_number": 1,
        "failed_rounds_in_a_row": 0,
        "version_held_back": 0,
        "store_readable": 1,
    }
    assert {name: found[name][key] for name in wanted} == wanted
    assert found["logged_rounds"]["trained", *key] == 1
    steps = {step["name"]: round(step["seconds"], 4) for step in first["steps"]}
    assert {labels[1]: value for labels, value in found["last_round_step_seconds"].items()} == steps
    assert 0 <= found["seconds_since_good_round"][key] < 600
    assert found["last_round_seconds"][key] >= sum(steps.values())
    shown = there.get("/metrics", auth=AUTH).text
    assert installation.project.project.title not in shown

    installation.label(1)
    assert "now serves headlines-0002" in installation.script(sync.app, "b", "--train")
    assert "headlines-0001" in (listed := installation.script(versions.app, "d", "list", "--json"))
    assert "headlines-0002" in listed
    installation.script(versions.app, "a", "rollback")
    until(lambda: installation.predict(there)["model_version"].startswith(f"{first['version']}."))
    assert installation.predict(there) == installation.predict(installation.web("a"))
    current = installation.store("a").current()
    assert current.pinned == first["version"]
    assert installation.project.project.model_version == current.queue

    with Context(installation.settings("e"), installation.project.id) as context:  # a machine that knew nothing of it
        findings = {finding.name: finding for finding in examine(context, CHECKS)}
    for name in ("Shared store", "Store", "Stored files", "Last round", "Served version", "Scores", "Coverage"):
        assert findings[name].status == "ok", findings[name]
    assert (findings["Redis"].status, findings["Redis"].remedy) == ("error", "lsal worker")


class Steps(Silent):
    """Notes whose steps begin."""

    def __init__(self, machine, noted):
        self.machine, self.noted = machine, noted

    def step_started(self, name):
        self.noted.append(self.machine)


def test_two_rounds_asked_at_once_on_two_machines_run_one_after_the_other(installation):
    noted, reports, ready = [], {}, threading.Barrier(2)

    def work(machine):
        settings = installation.settings(machine)
        ready.wait()
        reports[machine] = record_round(
            workspace(settings, make_client(settings)),
            RoundRequest(installation.project.id, "asked"),
            RunOptions(patience=120),
            observer=Steps(machine, noted),
        )

    threads = [threading.Thread(target=work, args=(machine,)) for machine in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = noted[0], noted[-1]
    assert noted == [first] * noted.count(first) + [second] * noted.count(second)
    assert {first, second} == {"a", "b"}
    assert reports[first].trained
    assert not reports[second].trained  # it found the version of the other machine
    assert reports[first].version == reports[second].version
    assert installation.project.project.model_version == reports[second].queue.name
    with installation.store("c").lock():
        pass
    for machine in ("a", "b", "c"):
        with installation.store(machine).lock():
            assert installation.store(machine).current().queue == reports[second].queue.name
            assert len({line["round"] for line in rounds(installation.store(machine))}) == 2


def test_the_doctor_tells_what_several_machines_lack(installation):
    def check(run, **changes):
        with Context(installation.settings("a", **changes), installation.project.id) as context:
            found = run(context)
        assert "word" not in found.message + found.remedy
        return found

    assert check(sharing.shared_store).status == "ok"
    assert check(sharing.redis, redis_url="redis://:word@127.0.0.1:1/0").status == "error"
    (installation.root / "file").write_text("no folder")
    broken = check(sharing.shared_store, store_url=f"file://{installation.root}/file/x")
    assert (broken.status, "Correct STORE_URL" in broken.remedy) == ("error", True)
    with pytest.raises(ConfigurationError, match="needs a package"):
        check(sharing.shared_store, store_url="s3://me:word@bucket/x")
    installation.common["redis_url"] = None
    assert (check(sharing.redis).status, check(sharing.shared_store).status) == ("ok", "warning")
    installation.common["store_url"] = None
    assert check(sharing.shared_store).status == "ok"
