"""The client of Label Studio, put together from one module of calls per topic."""

from __future__ import annotations

from ml_backend.label_studio.connections import BACKEND_TITLE, ConnectionCalls
from ml_backend.label_studio.predictions import PredictionCalls
from ml_backend.label_studio.projects import UNCERTAINTY_SAMPLING, installed_version, untested
from ml_backend.label_studio.tabs import TabCalls
from ml_backend.label_studio.task_reading import TaskReadingCalls
from ml_backend.label_studio.task_rows import TIME_FORMAT, task_from_row
from ml_backend.label_studio.tasks import TaskCalls

__all__ = [
    "BACKEND_TITLE",
    "TIME_FORMAT",
    "UNCERTAINTY_SAMPLING",
    "LabelStudioClient",
    "installed_version",
    "task_from_row",
    "untested",
]


class LabelStudioClient(TaskCalls, TaskReadingCalls, PredictionCalls, TabCalls, ConnectionCalls):
    """One account's view of one Label Studio.

    Raises, from every method:
        LabelStudioUnreachable, LabelStudioUnauthorized, LabelStudioNotFound, LabelStudioRejected.
    """
