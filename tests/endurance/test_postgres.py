"""A hundred labels by four people at once, with Label Studio on PostgreSQL."""

from collections.abc import Iterator

import pytest
from support.annotators import given_twice, label_by_several_people
from support.label_studio import LiveLabelStudio, MakeProject, live_label_studio, project_maker
from support.postgres_server import postgres


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLabelStudio]:
    """A Label Studio on PostgreSQL."""
    with postgres() as env, live_label_studio(tmp_path_factory, env) as live:
        yield live


@pytest.fixture(scope="module")
def make_project(label_studio: LiveLabelStudio) -> MakeProject:
    return project_maker(label_studio)


@pytest.mark.timeout(1800)
def test_100_labels_by_4_people_and_no_task_twice(make_project, label_studio, tmp_path, monkeypatch):
    turns, _ = label_by_several_people(make_project, label_studio, tmp_path, monkeypatch, each=25)
    assert given_twice(turns) == []
