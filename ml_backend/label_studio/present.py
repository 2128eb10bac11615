"""The present state of a project in two cheap reads: whether anything changed, and from when to read the changes."""

from __future__ import annotations

from dataclasses import dataclass

from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.records import Project


@dataclass(frozen=True)
class Present:
    """One project at one moment."""

    project: Project
    newest: str
    """When any task was last changed, empty if there is no task. Stays the same until something changes."""
    since: str
    """A time from which ``changed_tasks`` misses nothing that happens after this moment."""


def read_present(client: LabelStudioClient, project_id: int) -> Present:
    """Read the project's present state.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    newest, since = client.newest(project_id)  # read first, so that anything between the two reads counts as a change
    return Present(client.project(project_id), newest, since)
