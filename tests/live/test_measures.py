"""The measures after real rounds on a real Label Studio, and the control arm as annotators get it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.label_studio import LiveProject, MakeProject

from ml_backend.config import ProjectSettings
from ml_backend.records import CONTROL
from ml_backend.rounds.measures import stored
from ml_backend.rounds.random_baseline import DOCUMENT
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore

WORDS = ("flood in the river", "football match tonight")
ANSWERS = ("related", "not related")
EVALUATED = 30
FIRST = 24
SETTINGS = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=10, control_share=0.5, hyperparameters={"steps": 20}
)


@pytest.fixture
def project(make_project: MakeProject) -> LiveProject:
    """30 evaluation tasks and 24 first labels, both labelled, and 30 open tasks."""
    project = make_project("headlines")
    rows = [{"data": {"text": f"{WORDS[number % 2]}, story {number}"}} for number in range(EVALUATED + FIRST + 30)]
    for number, row in enumerate(rows[: EVALUATED + FIRST]):
        row["annotations"] = [{"result": project.answer(ANSWERS[number % 2])}]
        if number < EVALUATED:
            row["data"]["split"] = "evaluation"
    project.task_ids.extend(project.client.import_tasks(project.id, rows))
    return project


def test_the_control_arm_is_blind_and_the_measures_follow(project: LiveProject, tmp_path: Path) -> None:
    workspace = Workspace(project.client, tmp_path, SETTINGS)
    report = run_round(workspace, RoundRequest(project.id), RunOptions(fit_random=True))
    assert report.queue is not None
    assert report.measures is not None
    assert report.measures["random_labels"] == FIRST
    assert report.measures["live"] == {}
    control = {p.task_id for p in report.queue.predictions if p.picked_by == CONTROL}
    assert len(control) == 5
    assert {p.picked_by for p in report.queue.predictions if p.task_id not in control} == {"entropy"}

    number = {task: i for i, task in enumerate(project.task_ids)}
    answered = []
    for _ in range(6):
        task = project.client.next_task(project.id)
        assert task is not None
        (shown,) = task["predictions"]
        # A guess would lead the answer.
        assert (shown["result"] == []) == (task["id"] in control)
        project.client.annotate(task["id"], project.answer(ANSWERS[number[task["id"]] % 2]))
        answered.append(task["id"])
    assert answered == [p.task_id for p in report.queue.predictions[:6]]

    report = run_round(workspace, RoundRequest(project.id), RunOptions(fit_random=True))
    found = report.measures
    assert found is not None
    assert found["labels"] == FIRST + 6
    from_control = len(control & set(answered))
    assert found["random_labels"] >= FIRST + from_control
    assert found["live"][CONTROL]["n"] == from_control
    assert sum(arm["n"] for arm in found["live"].values()) == 6
    assert sum(found["classes"]["picked"].values()) == pytest.approx(1)
    assert found["labels_saved"] is None  # one model of random labels is too little
    store = ProjectStore(tmp_path, project.project.uid)
    assert len(store.document(DOCUMENT)["fits"]) == 1
    assert [step.name for step in report.steps].index("random arm") > [s.name for s in report.steps].index("switch")
    assert "It takes 4 versions of different numbers of labels" in found["hint"]
    assert stored(store) == found

    # Nothing new: no training, but the random arm goes on until its curve is whole, and then rests.
    for _ in range(3):
        report = run_round(workspace, RoundRequest(project.id), RunOptions(fit_random=True))
    assert not report.trained
    assert len(store.document(DOCUMENT)["fits"]) == 4
    assert report.measures is not None
    assert report.measures["labels_saved"]["labels"] == FIRST + 6
    assert "random arm" not in {
        step.name for step in run_round(workspace, RoundRequest(project.id), RunOptions(fit_random=True)).steps
    }


def test_evaluation_tasks_that_lose_their_label_fail_no_round(project: LiveProject, tmp_path: Path) -> None:
    """The version in use was judged on tasks that are no longer there to compare with."""
    workspace = Workspace(project.client, tmp_path, SETTINGS)
    run_round(workspace, RoundRequest(project.id))
    task = project.client.request("GET", f"api/tasks/{project.task_ids[0]}").json()
    project.client.request("DELETE", f"api/annotations/{task['annotations'][0]['id']}")
    for _ in range(6):
        following = project.client.next_task(project.id)
        assert following is not None
        project.client.annotate(following["id"], project.answer(ANSWERS[following["id"] % 2]))
    report = run_round(workspace, RoundRequest(project.id, train=False), RunOptions(fit_random=True))
    assert report.published
    assert not [warning for warning in report.warnings if "measures" in warning]
    assert report.measures is not None


def test_damaged_measures_fail_no_round(project: LiveProject, tmp_path: Path) -> None:
    workspace = Workspace(project.client, tmp_path, SETTINGS)
    run_round(workspace, RoundRequest(project.id))
    store = ProjectStore(tmp_path, project.project.uid)
    (store.folder / "answers.json").write_text("[1, 2")
    report = run_round(workspace, RoundRequest(project.id))
    assert report.published
    assert any("measures are not up to date" in warning and "answers.json" in warning for warning in report.warnings)
