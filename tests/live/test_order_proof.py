"""The proof that Label Studio serves what was published must fail where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.label_studio import LiveProject, MakeProject

from ml_backend.doctor.order_proof import prove_order
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.records import Queue
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round


@pytest.fixture
def queued(make_project: MakeProject, tmp_path: Path) -> tuple[LiveProject, Queue]:
    project = make_project(tasks=6)
    queue = run_round(Workspace(project.client, tmp_path), RoundRequest(project.id)).queue
    assert queue is not None
    return project, queue


def test_the_published_order_holds_and_no_answer_stays(queued: tuple[LiveProject, Queue]) -> None:
    project, queue = queued
    proof = prove_order(project.client, project.id, queue, project.question, count=4)
    assert proof.holds
    assert proof.difference() == ""
    assert proof.served == tuple(item.task_id for item in queue.predictions[:4])
    assert project.project.annotation_count == 0


def test_another_order_is_told_by_place(queued: tuple[LiveProject, Queue]) -> None:
    project, queue = queued
    first, second, third, *rest = queue.predictions
    swapped = replace(queue, predictions=(first, third, second, *rest))
    proof = prove_order(project.client, project.id, swapped, project.question, count=4)
    assert not proof.holds
    assert proof.difference() == f"place 2: published task {third.task_id}, served task {second.task_id}"
    assert project.project.annotation_count == 0


def test_a_stream_that_ends_early_is_told(queued: tuple[LiveProject, Queue]) -> None:
    project, queue = queued
    ghost = replace(queue.predictions[0], task_id=999_999)
    proof = prove_order(
        project.client, project.id, replace(queue, predictions=(*queue.predictions, ghost)), project.question, count=7
    )
    assert proof.difference() == "the stream ended after 6 of 7 published tasks"


def test_a_task_that_was_open_before_is_no_difference(queued: tuple[LiveProject, Queue], tmp_path: Path) -> None:
    project, _ = queued
    held = project.client.next_task(project.id)
    assert held is not None
    workspace = Workspace(project.client, tmp_path)
    # Orders depend on the tasks' ids, so any one seed may put the held task first again.
    orders = (
        run_round(workspace, RoundRequest(project.id), RunOptions(overrides={"seed": seed})).queue
        for seed in range(1, 50)
    )
    queue = next(queue for queue in orders if queue and queue.predictions[0].task_id != held["id"])
    proof = prove_order(project.client, project.id, queue, project.question, count=5)
    assert proof.holds
    assert proof.held == held["id"]


class BreaksAtTheThirdTask:
    """A client whose label stream breaks; all else goes through."""

    def __init__(self, client: LabelStudioClient) -> None:
        self._client, self._left = client, 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def next_task(self, project_id: int) -> dict[str, Any] | None:
        if not self._left:
            raise ConnectionError("injected")
        self._left -= 1
        return self._client.next_task(project_id)


def test_answers_are_taken_back_when_the_walk_fails(queued: tuple[LiveProject, Queue]) -> None:
    project, queue = queued
    client: Any = BreaksAtTheThirdTask(project.client)
    with pytest.raises(ConnectionError, match="injected"):
        prove_order(client, project.id, queue, project.question, count=5)
    assert project.project.annotation_count == 0
