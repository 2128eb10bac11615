"""One round by another model's predictions: read, rank, store, publish, measure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from ml_backend.config import ProjectSettings
from ml_backend.errors import StoreError
from ml_backend.label_studio.foreign import foreign_state, publish_foreign
from ml_backend.label_studio.present import Present
from ml_backend.label_studio.publishing import delete_replaced
from ml_backend.records import Queue
from ml_backend.rounds.order_switch import switch_order
from ml_backend.rounds.predicted.measures import measure
from ml_backend.rounds.predicted.pictures import keep_pictures
from ml_backend.rounds.predicted.queue import make_predicted_queue, without_results
from ml_backend.rounds.predicted.reading import PredictedProject, read_predicted
from ml_backend.rounds.predicted.wanted import is_by_predictions
from ml_backend.rounds.report import nothing_open
from ml_backend.rounds.workspace import Run
from ml_backend.store.project_store import ProjectStore

SHOWN_TASKS: Final = 5
"""Tasks that a warning names."""


def run_predicted(
    present: Present,
    store: ProjectStore,
    settings: ProjectSettings,
    run: Run,
) -> None:
    """The round, under the project's lock. Nothing is trained, whatever the request says.

    Raises:
        LabelConfigError, ConfigurationError, LabelStudioError, StoreError: the old order stands.
    """
    if run.request.pin:
        raise StoreError(
            f"Version {run.request.pin} cannot be served: the strategy is {settings.strategy!r}, which trains "
            "no versions. Choose another strategy first."
        )
    report, client, now = run.report, run.workspace.client, present.project
    if is_by_predictions(store, run.workspace.defaults):  # else one round alone goes by them: they start no others
        report.predictions = foreign_state(client, now.id)  # first: what comes later is then seen as a change
    project = read_predicted(present, store, settings, run)
    if project.pool.open:
        ages = client.version_ages(now.id)
        report.queue = make_predicted_queue(project, ages, run)
        report.choice = _told(project, report.queue)
        if not run.is_dry:
            report.queue = _publish(project, report.queue, run, ages)
    else:
        run.warn(nothing_open(now), "open")
    if not run.is_dry:
        report.measures = measure(project, run.recorder)
        if report.queue is not None:
            keep_pictures(project, report.queue, run)


def _told(project: PredictedProject, queue: Queue) -> str:
    versions = ", ".join(f"{name or 'without a name'} ({count:,})" for name, count in (queue.source or {}).items())
    missing = len(project.pool.open) - len(project.scored)
    told = f"least sure first, by {project.settings.predictions_doubt} of the scores of {versions or 'nobody'}"
    return told + (
        f"; {missing:,} open tasks without a prediction come {project.settings.predictions_missing}" if missing else ""
    )


def _publish(project: PredictedProject, queue: Queue, run: Run, ages: Mapping[str, timedelta]) -> Queue:
    client, store, project_id = run.workspace.client, project.store, project.now.id

    def send() -> Queue:
        refused = publish_foreign(client, project_id, queue, project.now.label_config, step=run.step)
        if not refused:
            return queue
        shown = ", ".join(map(str, refused[:SHOWN_TASKS]))
        run.warn(
            f"Label Studio refuses the predictions of {len(refused):,} of the queue's tasks: they do not suit the "
            f"labeling config. These tasks are asked in their places, without a pre-annotation: {shown}. Let the other "
            "model predict them anew."
        )
        return without_results(queue, refused)

    def tidy() -> None:
        keep = run.workspace.keep_queues
        run.report.replaced = delete_replaced(client, project_id, queue, project.layout.field, ages=ages, keep=keep)

    return switch_order(store, queue, store.current().pinned, run, publish=send, tidy=tidy)
