"""A project whose rounds are killed with SIGKILL, and what must hold after each kill."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.label_studio import LiveLabelStudio, LiveProject, MakeProject
from support.serving import forget_client

from ml_backend.config import Settings
from ml_backend.doctor.diagnosis import Context
from ml_backend.doctor.order_proof import prove_order
from ml_backend.predictor import Predictor
from ml_backend.records import Queue
from ml_backend.rounds.log import rounds
from ml_backend.store.library import build_model
from ml_backend.store.project_store import ProjectStore

QUEUED = 8
WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related")
SEED = 20_240_607


class KilledProject:
    """A project whose rounds are killed: what its people did, and what must hold after each kill."""

    def __init__(self, make_project: MakeProject, label_studio: LiveLabelStudio, root: Path) -> None:
        self.random = random.Random(SEED)
        texts = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(60)]
        first = [LABELS[number % 2] for number in range(26)]
        self.project: LiveProject = make_project(
            "headlines",
            [text | ({"split": "evaluation"} if number < 6 else {}) for number, text in enumerate(texts)],
            labels=first,
        )
        self.client = self.project.client
        known = zip(self.project.annotations(), zip(self.project.task_ids, first, strict=False), strict=True)
        self.labels: dict[int, tuple[int, str]] = dict(known)
        """Annotation → task and label: what must be there to the end."""
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
        predictor = Predictor(self.settings, project=store.uid)
        assert predictor.model_version_in_use() in {project.model_version, self.project.project.model_version}
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
def killed(make_project: MakeProject, label_studio: LiveLabelStudio, tmp_path: Path) -> Iterator[KilledProject]:
    """A project to kill rounds of."""
    project = KilledProject(make_project, label_studio, tmp_path / "versions")
    yield project
    forget_client(project.settings)
