"""Rounds of one project in a real Label Studio."""

from dataclasses import dataclass

from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.run import Workspace, run_round
from ml_backend.store.project_store import ProjectStore


@dataclass
class Live:
    """A project with its store."""

    project: object
    workspace: Workspace

    @property
    def ids(self):
        return self.project.task_ids

    @property
    def client(self):
        return self.project.client

    @property
    def now(self):
        return self.client.project(self.project.id)

    @property
    def store(self):
        return ProjectStore(self.workspace.root, self.now.uid)

    @property
    def versions(self):
        """Prediction versions in Label Studio, with their counts."""
        return self.client.prediction_versions(self.project.id)

    def label(self, *labels):
        """Answer the first tasks; None leaves one out."""
        return [
            self.client.annotate(task_id, self.project.answer(label))
            for task_id, label in zip(self.ids, labels, strict=False)
            if label is not None
        ]

    def round(self, **kwargs):
        return round_of(self.workspace, self.project.id, **kwargs)


def round_of(workspace, project_id, *, observer=None, **fields):
    """Run a round; ``fields`` of what is asked of it and of how to run it, by name."""
    asked = {name: fields.pop(name) for name in ("train", "pin", "unpin") if name in fields}
    return run_round(workspace, RoundRequest(project_id, **asked), RunOptions(**fields), observer=observer)


def queued(report):
    return [prediction.task_id for prediction in report.queue.predictions]


def has_warning(report, *parts):
    assert any(all(part in warning for part in parts) for warning in report.warnings), report.warnings
