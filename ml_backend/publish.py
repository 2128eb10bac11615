"""Put a queue in front of the annotators, by the path whose cost grows with the queue and not with the project.

Import the predictions under a fresh version → switch the project to it → delete our older versions, later. Until the
switch annotators see the old order, after it the new one. Other people's predictions are never touched.

A replaced version stays for a while: the page of somebody who has one of its tasks open sends the prediction's id with
the answer, and Label Studio refuses the answer ("Invalid pk") if that prediction is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from ml_backend.control import CONTROL
from ml_backend.errors import LabelStudioError
from ml_backend.label_config import ChoiceQuestion, result_for
from ml_backend.label_studio import LabelStudioClient
from ml_backend.queue_names import parse_queue_name
from ml_backend.records import Prediction, Queue

TAB_TITLE = "Most informative first"
TAB = {
    "ordering": ["tasks:predictions_score"],
    # Without this filter SQLite would list the tasks that have no score first.
    "filters": {
        "conjunction": "and",
        "items": [
            {
                "filter": "filter:tasks:predictions_score",
                "operator": "in",
                "type": "Number",
                "value": {"min": 0, "max": 1},
            },
            {"filter": "filter:tasks:total_annotations", "operator": "equal", "type": "Number", "value": 0},
        ],
    },
}
CLOCK_GRAIN = timedelta(seconds=1)
Step = Callable[[str], AbstractContextManager[Any]]


def prediction_row(prediction: Prediction, question: ChoiceQuestion, version: str, *, prelabel: bool) -> dict[str, Any]:
    """One prediction as Label Studio takes it, without the task's id.

    Without ``prelabel``, before a first model, and for control tasks the result is empty: the task is ordered but
    nothing is chosen for the annotator. A guess that is shown leads the answer, and the control arm measures guesses.
    """
    shown = prelabel and prediction.label is not None and prediction.picked_by != CONTROL
    result = result_for(str(prediction.label), prediction.confidence, question) if shown else []
    return {"result": result, "score": prediction.score, "model_version": version}


def publish(
    client: LabelStudioClient,
    project_id: int,
    queue: Queue,
    question: ChoiceQuestion,
    *,
    prelabel: bool,
    keep: timedelta,
    step: Step,
) -> list[str]:
    """Publish a queue; names of our older versions that were deleted, those written longer than ``keep`` ago.

    Raises:
        LabelStudioError: a step failed. Before the switch this takes back what was written, and the old order
            stands; after it the new order stands, and the next publication deletes what is left over.
    """
    rows = [
        {"task": item.task_id, **prediction_row(item, question, queue.name, prelabel=prelabel)}
        for item in queue.predictions
    ]
    try:
        with step("import"):
            client.import_predictions(project_id, rows)
        with step("switch"):
            client.serve_version(project_id, queue.name)
    except BaseException:
        _take_back(client, project_id, queue.name)
        raise
    with step("tidy"):
        deleted = [
            name for name, age in client.version_ages(project_id).items() if is_over(name, age, queue.name, keep)
        ]
        for name in deleted:
            client.delete_version(project_id, name)
        shown = ("id", f"data.{question.field}", "predictions_score")
        client.ensure_tab(project_id, TAB_TITLE, TAB, columns=shown)
    return deleted


def is_over(name: str, age: timedelta, current: str, keep: timedelta) -> bool:
    """Whether a model version is one of our replaced queues, and nobody can be expected to have its tasks open."""
    return is_replaced(name, current) and age + CLOCK_GRAIN >= keep


def is_replaced(name: str, current: str) -> bool:
    """Whether a model version is one of our queues, and not the current one."""
    return name != current and parse_queue_name(name) is not None


def latest_number(versions: Mapping[str, int]) -> int:
    """Largest queue number among the model versions in Label Studio; 0 if none is ours."""
    parsed = (parse_queue_name(name) for name in versions)
    return max((name.number for name in parsed if name), default=0)


def _take_back(client: LabelStudioClient, project_id: int, name: str) -> None:
    try:
        if client.project(project_id).model_version != name:
            client.delete_version(project_id, name)
    except LabelStudioError:
        pass  # the first error is the one to report; the next publication deletes what is left
