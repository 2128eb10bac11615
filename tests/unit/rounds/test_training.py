"""What a round makes of a version that has its labels already."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.registry import MODELS
from ml_backend.project_settings import ProjectSettings
from ml_backend.records import Annotation, Project, Task, Wanted
from ml_backend.rounds.examples import TaskPool, divide
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import Run, Workspace
from ml_backend.store.project_store import Current, ProjectStore

XML = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
)
QUESTION = parse_label_config(XML, wanted=Wanted(embedding_field="v"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD_OUT = range(1, 13)
LABELLED = range(13, 29)


def pool_of(question: ChoiceQuestion, answered: Collection[int], wrong: Collection[int] = ()) -> TaskPool:
    """40 tasks of numbers, the first ones held out; some of the answers turned round."""
    tasks = []
    for number, point in enumerate(np.random.default_rng(0).normal(size=(40, 4)).round(3).tolist(), 1):
        data = {"v": point} | ({"split": "evaluation"} if number in HELD_OUT else {})
        result = [{**part, "id": "p"} for part in annotation_result("ab"[(point[0] > 0) ^ (number in wrong)], question)]
        answers = (Annotation(number, 1, NOW, result),) if number in answered else ()
        tasks.append(Task(number, data, bool(answers), answers))
    return divide(tasks, question)


def project_at(folder: Path, answered: Collection[int]) -> RoundProject:
    now = Project(7, "7.1", "p", XML, "", "", 1, 40, len(answered))
    pool, store = pool_of(QUESTION, answered), ProjectStore(folder, "7.1")
    settings = ProjectSettings(embedding_field="v")
    return RoundProject(now, store, QUESTION, settings, pool, MediaReader(), MODELS["vectors"], vector_length=4)


def begin(folder: Path) -> Run:
    """A round in which nothing is asked of Label Studio."""
    return Run.begin(Workspace(None, folder), RoundRequest(7))


def test_a_version_is_measured_as_soon_as_held_out_tasks_are_labelled(tmp_path: Path) -> None:
    """The tutorial's way: first labels, a model, and then the evaluation tasks, without another label to learn from."""
    project = project_at(tmp_path, LABELLED)
    name = train_version(project, begin(tmp_path))
    before = project.store.manifest(name)
    assert (before.metrics, before.evaluation_count) == (None, 0)

    more = replace(project, pool=pool_of(QUESTION, [*LABELLED, *HELD_OUT]), items={})
    run = begin(tmp_path)
    assert train_version(more, run) == name
    judged = project.store.manifest(name)
    assert (run.report.trained, [step.name for step in run.report.steps]) == (False, ["judge"])
    assert judged.evaluation_count == len(HELD_OUT)
    assert judged.metrics["accuracy"] > 0.8
    assert len(project.store.evaluation_predictions(name).targets) == len(HELD_OUT)
    assert (judged.promoted, judged.comparison, judged.created_at) == (True, None, before.created_at)

    again = begin(tmp_path)
    train_version(more, again)
    assert again.report.steps == [], "of the same answers it is known"
    train_version(project, begin(tmp_path))
    assert project.store.manifest(name) == judged, "answers that are gone leave what is known"


def test_a_version_that_was_held_back_is_judged_beside_its_rival_once_held_out_answers_change(tmp_path: Path) -> None:
    answered = [*HELD_OUT, *LABELLED]
    project = project_at(tmp_path, answered)
    good = train_version(project, begin(tmp_path))
    project.store.set_current(Current(good, None))

    turned = replace(project, pool=pool_of(QUESTION, answered, wrong=LABELLED), items={})
    run = begin(tmp_path)
    assert train_version(turned, run) == good
    worse = run.report.held_back
    assert not project.store.manifest(worse).promoted

    told = begin(tmp_path)
    all_turned = replace(project, pool=pool_of(QUESTION, answered, wrong=answered), items={})
    assert train_version(all_turned, told) == worse
    found = project.store.manifest(worse)
    assert (told.report.trained, found.promoted, found.comparison["against"]) == (False, True, good)
    assert found.metrics["accuracy"] > 0.8
