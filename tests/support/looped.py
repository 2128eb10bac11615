"""Projects of headlines whose rounds tests run one by one."""

from datetime import timedelta

import pytest
from support.rounds import Live

from ml_backend.config import ProjectSettings
from ml_backend.rounds.run import Workspace

FAST = ProjectSettings(
    strategy="entropy", text_model="headlines", queue_size=5, samples=4, control_share=0, hyperparameters={"steps": 10}
)
WORDS = ("flood in the river", "football match tonight")


@pytest.fixture
def live(make_project, tmp_path):
    def make(tasks=6, kind="headlines", labels=()):
        if isinstance(tasks, int):
            tasks = [{"text": f"{WORDS[number % 2]}, story {number}"} for number in range(tasks)]
        project = make_project(kind, tasks, labels=labels)
        return Live(project, Workspace(project.client, tmp_path, FAST, keep_queues=timedelta(0)))

    return make


@pytest.fixture
def trained(live):
    """Eight headlines, four of them labelled, and one round."""
    live = live(8, labels=("related", "not related", "related", "not related"))
    return live, live.round()
