"""Put a queue in front of the annotators, by the path whose cost grows with the queue and not with the project.

Import the predictions under a fresh version → switch the project to it → delete our older versions, later. Until the
switch annotators see the old order, after it the new one. Other people's predictions are never touched.

A replaced version stays for a while: the page of somebody who has one of its tasks open sends the prediction's id with
the answer, and Label Studio refuses the answer ("Invalid pk") if that prediction is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from ml_backend.errors import LabelConfigError, LabelStudioError, LabelStudioUnreachable
from ml_backend.label_studio.answers import result_for
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.label_studio.task_fields import top_field
from ml_backend.records import CONTROL, Prediction, Queue

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
    shown = prelabel and prediction.picked_by != CONTROL
    guess = result_for(str(prediction.label), prediction.confidence, question) if prediction.label is not None else []
    result = [*guess, *(prediction.besides or ())] if shown else []
    return {"result": result, "score": prediction.score, "model_version": version}


def publish(
    client: LabelStudioClient,
    project_id: int,
    queue: Queue,
    question: ChoiceQuestion,
    *,
    step: Step,
) -> None:
    """Import a queue and switch the project to it.

    Where the answer to one of the two is lost, Label Studio is asked what became of it.

    Raises:
        LabelConfigError: the question changed since the queue was made.
        LabelStudioError: a step failed.

    What a failure leaves written is taken back, now or by a later ``delete_replaced``, and the old order stands.
    """
    rows = [
        {"task": item.task_id, **prediction_row(item, question, queue.name, prelabel=queue.prelabel)}
        for item in queue.predictions
    ]
    publish_rows(
        client,
        project_id,
        queue.name,
        lambda: _import(client, project_id, queue.name, rows),
        lambda: _check_question(client, project_id, question),
        step=step,
    )


def publish_rows(
    client: LabelStudioClient,
    project_id: int,
    name: str,
    write: Callable[[], None],
    check: Callable[[], None],
    *,
    step: Step,
) -> None:
    """Write predictions under a name and switch the project to it; what a failure leaves written is taken back.

    Args:
        client: Label Studio.
        project_id: the project.
        name: the version that ``write`` writes.
        write: writes all predictions.
        check: raises where they no longer suit the project.
        step: times the steps.

    Raises:
        LabelConfigError, LabelStudioError: of ``write``, ``check`` or the switch. The old order stands.
    """
    try:
        with step("import"):
            write()
        with step("switch"):
            check()
            _switch(client, project_id, name)
    except LabelStudioUnreachable:
        raise  # Label Studio may still be at work on it: a switch that comes late must find the whole queue
    except BaseException:
        _take_back(client, project_id, name)
        raise


def delete_replaced(
    client: LabelStudioClient,
    project_id: int,
    queue: Queue,
    field: str,
    *,
    ages: Mapping[str, timedelta],
    keep: timedelta,
) -> list[str]:
    """Delete our older versions that were written longer than ``keep`` ago, and make the tab right; names deleted.

    Args:
        client: Label Studio.
        project_id: the project.
        queue: the order that people get now.
        field: of the tasks, shown in the tab; empty: none.
        ages: the versions before that order was written, as `version_ages` told them then.
        keep: how long a version stays.

    Raises:
        LabelStudioError: a step failed. The order stands, and the next round deletes what is left over.
    """
    deleted = [name for name, age in ages.items() if is_over(name, age, queue.name, keep)]
    for name in deleted:
        client.delete_version(project_id, name)
    shown = ("id", *([f"data.{top_field(field)}"] if field else []), "predictions_score")
    client.ensure_tab(project_id, TAB_TITLE, TAB, columns=shown)
    return deleted


def is_over(name: str, age: timedelta, current: str, keep: timedelta) -> bool:
    """Whether a model version is one of our replaced queues, and nobody can be expected to have its tasks open."""
    return is_replaced(name, current) and age + CLOCK_GRAIN >= keep


def is_replaced(name: str, current: str) -> bool:
    """Whether a model version is one of our queues, and not the current one."""
    return name != current and parse_queue_name(name) is not None


def latest_number(versions: Iterable[str]) -> int:
    """Largest queue number among the model versions in Label Studio; 0 if none is ours."""
    parsed = (parse_queue_name(name) for name in versions)
    return max((name.number for name in parsed if name), default=0)


def _check_question(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> None:
    """Refuse guesses that answer another question than people see now."""
    if _asked_now(client, project_id, question) != question:
        raise LabelConfigError(
            f"The labeling config of project {project_id} changed while the round ran. The old order stands; the next "
            "round uses the new config."
        )


def _asked_now(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> ChoiceQuestion:
    xml = client.project(project_id).label_config
    return parse_label_config(xml, project=project_id, wanted=question.wanted)


def _import(client: LabelStudioClient, project_id: int, name: str, rows: list[dict[str, Any]]) -> None:
    """Import predictions. They are written all at once or not at all, and nobody else writes under this name.

    Label Studio's import drops guesses as ``allowNested`` stores answers, and its page ticks no others: such guesses
    are written one by one, which is slower.
    """
    single = [row for row in rows if _is_nested(row)]
    try:
        if several := [row for row in rows if not _is_nested(row)]:
            client.import_predictions(project_id, several)
        for row in single:
            client.create_prediction(row)
    except LabelStudioError as error:
        if _asked(error, lambda: client.prediction_versions(project_id).get(name, 0)) < len(rows):
            raise


def _is_nested(row: Mapping[str, Any]) -> bool:
    """Whether choices in a prediction are stored as ways."""
    chosen = (region["value"].get("choices") or () for region in row["result"])
    return any(isinstance(choice, list) for choices in chosen for choice in choices)


def _switch(client: LabelStudioClient, project_id: int, name: str) -> None:
    try:
        client.serve_version(project_id, name)
    except LabelStudioError as error:
        if _asked(error, lambda: client.project(project_id).model_version) != name:
            raise


def _asked(error: LabelStudioError, question: Callable[[], Any]) -> Any:
    """The answer to a question that an error raises; where it has none, the error is the one to report."""
    try:
        return question()
    except LabelStudioError:
        raise error from None


def _take_back(client: LabelStudioClient, project_id: int, name: str) -> None:
    try:
        if client.project(project_id).model_version != name:
            client.delete_version(project_id, name)
    except LabelStudioError:
        pass  # the first error is the one to report; a later round deletes what is left
