"""Puts a queue in front of the annotators in a way whose cost grows with the queue, not with the project.

The predictions are imported under a new version, then the project is switched to this version, and our older versions
are deleted later. Annotators see the old order until the switch, and the new one after it. Other people's predictions
are never touched.

A replaced version stays for a while because somebody may have one of its tasks open. The page sends the prediction's id
along with the answer, and Label Studio refuses the answer ("Invalid pk") if that prediction no longer exists.
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
    # Without this filter, SQLite would list the tasks without a score first.
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
    """One prediction in the form of Label Studio's import, without the task's id.

    The result is empty without ``prelabel``, before there is a model, and for control tasks: the task then has its
    place in the order, but no choice is made for the annotator. A guess that is shown influences the answer, and
    control tasks measure guesses.
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

    If the answer to either request is lost, Label Studio is asked whether it was carried out.

    Raises:
        LabelConfigError: the question changed since the queue was made.
        LabelStudioError: a step failed.

    After a failure the old order stands. Predictions already written are removed, now or by a later
    ``delete_replaced``.
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
    """Write predictions under a name and switch the project to it. After a failure, what was written is removed again.

    Args:
        client: client of Label Studio.
        project_id: the project.
        name: the version that ``write`` writes.
        write: writes all predictions.
        check: raises if they no longer fit the project.
        step: times the steps.

    Raises:
        LabelConfigError, LabelStudioError: from ``write``, ``check`` or the switch. The old order stands.
    """
    try:
        with step("import"):
            write()
        with step("switch"):
            check()
            _switch(client, project_id, name)
    except LabelStudioUnreachable:
        raise  # Label Studio may still be working on it: a switch that comes late must find the whole queue
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
    """Delete our versions that were written longer than ``keep`` ago, and correct the tab. Returns the deleted names.

    Args:
        client: client of Label Studio.
        project_id: the project.
        queue: the order that people get now.
        field: task field that the tab shows; empty: none.
        ages: ages of the versions, as `version_ages` reported them before this order was written.
        keep: how long a version stays.

    Raises:
        LabelStudioError: a step failed. The order stands, and the next round deletes what is left.
    """
    deleted = [name for name, age in ages.items() if is_over(name, age, queue.name, keep)]
    for name in deleted:
        client.delete_version(project_id, name)
    shown = ("id", *([f"data.{top_field(field)}"] if field else []), "predictions_score")
    client.ensure_tab(project_id, TAB_TITLE, TAB, columns=shown)
    return deleted


def is_over(name: str, age: timedelta, current: str, keep: timedelta) -> bool:
    """Whether a model version is one of our replaced queues, and old enough that nobody should have its tasks open."""
    return is_replaced(name, current) and age + CLOCK_GRAIN >= keep


def is_replaced(name: str, current: str) -> bool:
    """Whether a model version is one of our queues but not the current one."""
    return name != current and parse_queue_name(name) is not None


def latest_number(versions: Iterable[str]) -> int:
    """The largest queue number among these model versions; 0 if none is ours."""
    parsed = (parse_queue_name(name) for name in versions)
    return max((name.number for name in parsed if name), default=0)


def _check_question(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> None:
    """Refuse guesses about another question than the one people see now."""
    if _asked_now(client, project_id, question) != question:
        raise LabelConfigError(
            f"The labeling config of project {project_id} changed while the round ran. The old order stands; the next "
            "round uses the new config."
        )


def _asked_now(client: LabelStudioClient, project_id: int, question: ChoiceQuestion) -> ChoiceQuestion:
    xml = client.project(project_id).label_config
    return parse_label_config(xml, project=project_id, wanted=question.wanted)


def _import(client: LabelStudioClient, project_id: int, name: str, rows: list[dict[str, Any]]) -> None:
    """Import predictions. They are written all together or not at all, and nobody else writes under this name.

    Predictions for ``allowNested`` are the exception: Label Studio's import drops them in the only form that its page
    ticks, so they are written one by one, which is slower.
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
    """Whether a prediction stores its choices as paths."""
    chosen = (region["value"].get("choices") or () for region in row["result"])
    return any(isinstance(choice, list) for choices in chosen for choice in choices)


def _switch(client: LabelStudioClient, project_id: int, name: str) -> None:
    try:
        client.serve_version(project_id, name)
    except LabelStudioError as error:
        if _asked(error, lambda: client.project(project_id).model_version) != name:
            raise


def _asked(error: LabelStudioError, question: Callable[[], Any]) -> Any:
    """Ask Label Studio after an error. If it does not answer either, the original error is raised."""
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
