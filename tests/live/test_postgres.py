"""The loop with Label Studio on PostgreSQL, where its choice of the next task is a transaction."""

from collections.abc import Iterator

import pytest
from support.annotators import given_twice, headlines, label_by_several_people, stream
from support.label_studio import LiveLabelStudio, MakeProject, live_label_studio, project_maker
from support.postgres_server import postgres

from ml_backend.config import ProjectSettings
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import open_project


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLabelStudio]:
    """A Label Studio on PostgreSQL."""
    with postgres() as env, live_label_studio(tmp_path_factory, env) as live:
        yield live


@pytest.fixture(scope="module")
def make_project(label_studio: LiveLabelStudio) -> MakeProject:
    return project_maker(label_studio)


def test_labels_by_4_people_and_no_task_twice(make_project, label_studio, tmp_path, monkeypatch):
    """Thirty-two labels; ``make endurance`` makes it 100."""
    turns, _ = label_by_several_people(make_project, label_studio, tmp_path, monkeypatch, each=8)
    # The order is for the next test: here a task whose row is being written, as by an import, is passed over for once.
    assert given_twice(turns) == []


def test_the_published_order_is_served_before_tasks_without_a_score(make_project, label_studio, tmp_path):
    """PostgreSQL sorts what has no score last, SQLite first."""
    project = headlines(make_project, labelled=12, in_all=40)
    settings = ProjectSettings(strategy="entropy", text_model="headlines", queue_size=6, hyperparameters={"steps": 20})
    run_round(Workspace(project.client, tmp_path, settings), RoundRequest(project.id))
    store = open_project(tmp_path, project.id)
    queue = [item.task_id for item in store.queue(store.current().queue).predictions]
    served = stream(project, label_studio, lambda task: "related", 8)
    assert served[:6] == queue
    assert not set(served[6:]) & set(queue)
