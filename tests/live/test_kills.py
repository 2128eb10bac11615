"""kill -9 at every point of a round, a hundred times: nothing torn, nothing lost, and the next round is right.

Half of the kills hit a step on purpose (all steps are hit, the short ones too); the others are spread evenly over the
time that a round takes.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from processes import ServerProcess, free_port
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.places import REPOSITORY
from support.serving import forget_client

from ml_backend.config import Settings
from ml_backend.doctor.diagnosis import Context
from ml_backend.doctor.order_proof import prove_order
from ml_backend.errors import RoundProcessDied
from ml_backend.predictor import Predictor
from ml_backend.records import Queue
from ml_backend.rounds.log import rounds
from ml_backend.server import make_trainer
from ml_backend.store.library import build_model
from ml_backend.store.project_store import ProjectStore

TRAINER_KILLS, SERVER_KILLS = 97, 3
STEPS = ("read", "fit", "judge", "store", "score", "rank", "import", "switch", "tidy", "measure")
QUEUED = 8
WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related")
SEED = 20_240_607
PATIENCE = 120.0


class Farm:
    """A project, what its people did, and what must hold whenever somebody was killed."""

    def __init__(self, make_project: MakeProject, label_studio: LiveLabelStudio, root: Path) -> None:
        self.random = random.Random(SEED)
        texts = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(60)]
        self.project: LiveProject = make_project(
            "headlines", [text | ({"split": "evaluation"} if number < 6 else {}) for number, text in enumerate(texts)]
        )
        self.client = self.project.client
        self.labels: dict[int, tuple[int, str]] = {}
        """Annotation → task and label: what must be there to the end."""
        for number in range(26):
            self.label(self.project.task_ids[number], LABELS[number % 2])
        self.settings = Settings(
            label_studio_url=label_studio.url,
            label_studio_api_key=label_studio.token,
            model_dir=root,
            queue_size=QUEUED,
            keep_queues_seconds=0,
            keep_versions=5,
        )
        self.store = ProjectStore(root, self.project.project.uid)
        params = {"hyperparameters": {"steps": 40}, "promote_margin": None}
        self.store.set_extra_params(params | {"train_after_labels": 1, "train_after_seconds": 0})
        self._whole: set[str] = set()

    def label(self, task_id: int, label: str) -> None:
        self.labels[self.client.annotate(task_id, self.project.answer(label))] = (task_id, label)

    def change_labels(self) -> None:
        """What annotators do between two rounds: a changed answer, and now and then a new one."""
        annotation = self.random.choice(list(self.labels))
        task_id, label = self.labels[annotation]
        other = LABELS[1 - LABELS.index(label)]
        self.client.request("PATCH", f"api/annotations/{annotation}/", body={"result": self.project.answer(other)})
        self.labels[annotation] = (task_id, other)
        labelled = {task_id for task_id, _ in self.labels.values()}
        untouched = [task_id for task_id in self.project.task_ids if task_id not in labelled]
        if len(untouched) > 2 * QUEUED and self.random.random() < 0.2:
            self.label(self.random.choice(untouched), self.random.choice(LABELS))

    def check(self) -> None:
        """What must hold after every kill."""
        store, project = self.store, self.project.project
        for version in store.versions():
            if version not in self._whole:
                build_model(store.manifest(version), store.weights(version))
                assert store.evaluation_predictions(version)
                self._whole.add(version)
        current, served = store.current(), store.served(project.model_version)
        for known in (current, served):
            assert known.version in store.versions()
            assert store.queue(known.queue or "").version == known.version
        # One whole order, and the store can tell which: /predict and the doctor speak of the one that is served.
        assert served.queue == project.model_version
        assert self.client.prediction_versions(self.project.id)[project.model_version] == QUEUED
        backend = Predictor(self.settings, project=store.uid)
        assert backend.model_version_in_use() in {project.model_version, self.project.project.model_version}
        if store.announced():  # else the doctor reads current.json, as above
            with Context(self.settings, self.project.id) as context:
                assert context.current.queue == context.project.model_version
        assert project.annotation_count == len(self.labels)

    def check_labels(self) -> None:
        rows = [row for page in self.client.all_tasks(self.project.id) for row in page]
        found = {
            item["id"]: (row["id"], item["result"][0]["value"]["choices"][0])
            for row in rows
            for item in row["annotations"]
        }
        assert found == self.labels

    def check_right(self) -> Queue:
        """What must hold after a round that nobody disturbed; the queue."""
        self.check()
        store, served = self.store, self.project.project.model_version
        current = store.current()
        assert (current.queue, store.announced()) == (served, None)
        queue = store.queue(served)
        assert self.client.prediction_versions(self.project.id) == {served: QUEUED}
        rows = [row for row in self.client.predictions(self.project.id) if row["model_version"] == served]
        ordered = [row["task"] for row in sorted(rows, key=lambda row: row["score"])]
        assert ordered == [item.task_id for item in queue.predictions]
        last = rounds(store, newest=1)[0]
        trained_on = {task for task, _ in self.labels.values()} - set(self.project.task_ids[:6])
        assert (last["error"], last["labels"], last["queue"]) == (None, len(trained_on), served)
        left = [path.name for path in store.folder.rglob(".tmp-*") if path.parent.name in ("versions", "queues")]
        assert left == []
        return queue

    def prove(self, queue: Queue) -> None:
        with self.store.lock():
            proof = prove_order(self.client, self.project.id, queue, self.project.question, count=3)
        assert proof.holds, proof.difference()


@pytest.fixture
def farm(make_project: MakeProject, label_studio: LiveLabelStudio, tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(make_project, label_studio, tmp_path / "versions")
    yield farm
    forget_client(farm.settings)


class Steps(logging.Handler):
    """Hears which steps of a round began, and when."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.begun: list[tuple[str, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        step = record.getMessage().rpartition(": ")[2]
        if step in STEPS:
            self.begun.append((step, time.monotonic()))


@pytest.fixture
def steps() -> Iterator[Steps]:
    handler, logger = Steps(), logging.getLogger("ml_backend.rounds.log")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def plan(kills: int, seed: int) -> list[tuple[str, float]]:
    """When to kill: which share of a step, or of the whole round (""), is over by then; in random order."""
    chance = random.Random(seed)
    by_step = list(itertools.islice(itertools.cycle(STEPS), kills // 2))
    whole = kills - len(by_step)
    kinds: list[tuple[str, float]] = [(step, chance.random()) for step in by_step]
    kinds += [("", (place + chance.random()) / whole) for place in range(whole)]
    chance.shuffle(kinds)
    return kinds


def wait_until(condition: Callable[[], Any], what: str, pause: float = 0.002) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(pause)


def durations(begun: list[tuple[str, float]], end: float) -> dict[str, float]:
    """Seconds of each step of one round."""
    starts = [*begun, ("", end)]
    return {step: after - start for (step, start), (_, after) in itertools.pairwise(starts)}


class Killer:
    """One trainer, killed again and again in the middle of its rounds."""

    def __init__(self, farm: Farm, steps: Steps, pool: ThreadPoolExecutor) -> None:
        self.farm, self.steps, self.pool = farm, steps, pool
        self.trainer = make_trainer(farm.settings)
        self.seconds: dict[str, float] = {}
        """Of each step of the last round that nobody disturbed; of all of it under ""."""

    def start_round(self) -> Future[Any]:
        self.farm.change_labels()
        self.steps.begun.clear()
        return self.pool.submit(self.trainer.run, self.farm.project.id, "asked")

    def undisturbed(self) -> Queue:
        start = time.monotonic()
        result = self.start_round().result(PATIENCE)
        end = time.monotonic()
        self.seconds = durations(self.steps.begun, end) | {"": end - start}
        queue = self.farm.check_right()
        assert result["queue"] == queue.name
        return queue

    def kill(self, step: str, share: float) -> str:
        """Run a round and kill its process after a share of a step, or of all; what it was doing."""
        round_, begun = self.start_round(), self.steps.begun
        wait_until(lambda: not step or any(name == step for name, _ in begun) or round_.done(), step)
        time.sleep(share * self.seconds.get(step, 0.0))
        wait_until(lambda: self.trainer.pid, "its process")
        os.kill(self.trainer.pid or 0, signal.SIGKILL)
        doing = begun[-1][0] if begun else "before"
        error = round_.exception(PATIENCE)
        if error is None:
            wait_until(lambda: not (process := self.trainer._process) or not process.is_alive(), "its end")
            return "after"
        assert isinstance(error, RoundProcessDied), repr(error)
        assert "died (signal 9)" in str(error)
        return doing


def test_the_trainer_is_killed(farm: Farm, steps: Steps) -> None:
    hits: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as pool:
        killer = Killer(farm, steps, pool)
        try:
            for _ in range(2):  # the second is no longer the first of its process, nor of the project
                killer.undisturbed()
            for number, (step, share) in enumerate(plan(TRAINER_KILLS, SEED), start=1):
                hits[killer.kill(step, share)] += 1
                farm.check()
                if number % 10 == 0:
                    farm.prove(killer.undisturbed())
                    farm.check_labels()
            farm.prove(killer.undisturbed())
            farm.check_labels()
        finally:
            killer.trainer.close()
    print(f"\n{TRAINER_KILLS} kills of the trainer, by what it was doing: {dict(hits)}; a round: {killer.seconds}")
    assert sum(hits.values()) == TRAINER_KILLS
    assert set(hits) >= set(STEPS)


class Server:
    """``scripts/serve.py`` as a process of its own. It starts rounds only when it is told to."""

    def __init__(self, farm: Farm, folder: Path, *, poll_seconds: float = 0) -> None:
        settings = farm.settings
        assert settings.label_studio_api_key
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.farm = farm
        self._before = 0
        """Steps of rounds that were asked for earlier."""
        environment = {
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key.get_secret_value(),
            "MODEL_DIR": str(settings.model_dir),
            "QUEUE_SIZE": str(settings.queue_size),
            "KEEP_QUEUES_SECONDS": "0",
            "KEEP_VERSIONS": str(settings.keep_versions),
            "POLL_SECONDS": str(poll_seconds),
            "PORT": str(port),
            "LOG_LEVEL": "DEBUG",
        }
        command = [sys.executable, str(REPOSITORY / "scripts" / "serve.py")]
        log = folder / f"server-{port}.log"
        self.process = ServerProcess("The server", command, log=log, env=os.environ | environment)

    def ask(self) -> None:
        """Start a round, as Label Studio's "Start training" does."""
        self.process.wait_healthy(f"{self.url}/health")
        wait_until(lambda: "trainer process" in self.log, "a trainer that has imported everything", 0.05)
        self._before = len(self._steps())
        body = {"action": "START_TRAINING", "project": {"id": self.farm.project.id}}
        assert requests.post(f"{self.url}/webhook", json=body, timeout=30).status_code == 201

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    @property
    def begun(self) -> list[str]:
        """The steps that began in the round that was asked for last."""
        return self._steps()[self._before :]

    def _steps(self) -> list[str]:
        begun = re.findall(r" ml_backend\.round_log: step started: (\w+)", self.log)
        return [step for step in begun if step in STEPS]

    def reached(self, step: str, count: int) -> Callable[[], bool]:
        """Whether it began the step, or has ended its round, the first after ``count``."""
        return lambda: not step or step in self.begun or len(rounds(self.farm.store)) > count

    def kill(self) -> None:
        """kill -9 the server alone; its other processes must end by themselves."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process._popen.wait()
        wait_until(lambda: not group_lives(self.process.pid), "the end of the trainer", 0.02)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_server_is_killed(farm: Farm, tmp_path: Path) -> None:
    hits: Counter[str] = Counter()
    servers: list[Server] = []

    def spare() -> Server:
        """A server that starts while another is at work: most of its start is imports."""
        servers.append(Server(farm, tmp_path))
        return servers[-1]

    try:
        server = spare()
        server.ask()
        asked = time.monotonic()
        wait_until(lambda: rounds(farm.store), "a first round")
        seconds = {"": time.monotonic() - asked}
        seconds |= {step["name"]: step["seconds"] for step in rounds(farm.store)[0]["steps"]}
        farm.check_right()
        for place, (step, share) in enumerate(plan(SERVER_KILLS, SEED + 1)):
            server = servers[place]
            if len(servers) < SERVER_KILLS:
                spare()
            farm.change_labels()
            count = len(rounds(farm.store))
            server.ask()
            wait_until(server.reached(step, count), step)
            time.sleep(share * seconds.get(step, 0.0))
            server.kill()
            hits["after" if len(rounds(farm.store)) > count else ["before", *server.begun][-1]] += 1
            farm.check()
        # Started anew, it finds by itself that labels wait, and sets everything right.
        farm.change_labels()
        count = len(rounds(farm.store))
        servers.append(Server(farm, tmp_path, poll_seconds=1))
        wait_until(lambda: len(rounds(farm.store)) > count, "a round of its own", 0.05)
        servers[-1].process.stop()  # it would take the proof's answers for labels
        assert servers[-1].process._popen.returncode == 0
        farm.prove(farm.check_right())
        farm.check_labels()
        assert {line["error"] for line in rounds(farm.store)} == {None}
    finally:
        for server in servers:
            server.process.stop()
    print(f"\n{SERVER_KILLS} kills of the server, by what its trainer was doing: {dict(hits)}")
    assert sum(hits.values()) == SERVER_KILLS
