"""A project after a round, to disturb the next one of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.label_studio import LiveProject, MakeProject
from support.rounds import round_of

from ml_backend.config import ProjectSettings
from ml_backend.doctor.order_proof import prove_order
from ml_backend.rounds.report import Report, StepTime
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import run_round
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import ProjectStore

FAST = ProjectSettings(
    strategy="entropy",
    text_model="headlines",
    queue_size=4,
    samples=4,
    hyperparameters={"steps": 10},
    promote_margin=None,
)
WORDS = ("flood in the river", "football match tonight")
LABELS = ("related", "not related", "unclear")


class During:
    """An observer that does something when a step of the round begins."""

    def __init__(self, step: str, action: Callable[[], object]) -> None:
        self.step, self.actions = step, [action]

    def step_started(self, name: str) -> None:
        if name == self.step and self.actions:
            self.actions.pop()()

    def progress(self, name: str, done: int, total: int) -> None:
        pass

    def step_finished(self, step: StepTime) -> None:
        pass


@dataclass
class Live:
    """A project with its store, after a first round."""

    project: LiveProject
    workspace: Workspace
    first: Report

    @property
    def store(self) -> ProjectStore:
        return ProjectStore(self.workspace.root, self.project.project.uid)

    def round(self, **options: Any) -> Report:
        return round_of(self.workspace, self.project.id, **options)

    def label(self, place: int, label: str = "related") -> int:
        return self.project.client.annotate(self.project.task_ids[place], self.project.answer(label))

    def patch(self, **changes: Any) -> None:
        self.project.client.request("PATCH", f"api/projects/{self.project.id}", body=changes)

    def state(self) -> tuple[Any, ...]:
        """What people get, what the store says of it, and what they wrote."""
        now = self.project.project
        versions = self.project.client.prediction_versions(self.project.id)
        return now.model_version, versions, self.store.current(), now.annotation_count

    def check_right(self, report: Report) -> None:
        """The round's order is served, whole, and the store agrees."""
        assert report.queue
        served, versions, current, _ = self.state()
        size = len(report.queue.predictions)
        assert (served, versions, current.queue) == (report.queue.name, {report.queue.name: size}, report.queue.name)
        assert self.store.announced() is None
        assert self.store.queue(served) == report.queue
        with self.store.lock():
            proof = prove_order(self.project.client, self.project.id, report.queue, self.project.question, count=2)
        assert proof.holds, proof.difference()


@pytest.fixture
def live(make_project: MakeProject, tmp_path: Path) -> Live:
    """Fourteen headlines, six of them labelled, and one round."""
    project = make_project("headlines")
    xml = project.project.label_config.replace("</Choices>", '<Choice value="unclear"/></Choices>')
    project.client.request("PATCH", f"api/projects/{project.id}", body={"label_config": xml})
    rows: list[dict[str, Any]] = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(14)]
    for number, row in enumerate(rows[:6]):
        row["annotations"] = [{"result": project.answer(LABELS[number % 2])}]
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    workspace = Workspace(project.client, tmp_path, FAST, keep_queues=timedelta(0))
    return Live(project, workspace, run_round(workspace, RoundRequest(project.id)))
