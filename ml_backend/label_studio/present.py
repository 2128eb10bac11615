"""A project as it is now, by two cheap reads: whether anything changed, and since when to read what did."""

from __future__ import annotations

from dataclasses import dataclass

from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.records import Project


@dataclass(frozen=True)
class Present:
    """One project at one moment."""

    project: Project
    newest: str
    """Time of the newest change of any task: it stays the same until something changes. Empty where there is none."""
    since: str
    """A time from which ``changed_tasks`` misses nothing that happens after this moment."""


def read_present(client: LabelStudioClient, project_id: int) -> Present:
    """The project now.

    Raises:
        LabelStudioError: Label Studio failed.
    """
    newest, since = client.newest(project_id)  # first: what comes between the two reads is then seen as a change
    return Present(client.project(project_id), newest, since)
