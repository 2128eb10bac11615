"""The second half of a round: choose the version that annotators get, and publish its order in Label Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.label_studio.publishing import delete_replaced, publish
from ml_backend.logs import note_version
from ml_backend.models.base import Model
from ml_backend.records import Queue
from ml_backend.rounds.embedding import unlabelled
from ml_backend.rounds.evaluation_tasks import list_them
from ml_backend.rounds.order_switch import switch_order
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.queue import make_queue
from ml_backend.rounds.report import Recorder, nothing_open
from ml_backend.rounds.several_questions import QuestionHead, fit_heads, with_open_tasks
from ml_backend.rounds.version_reading import as_read_by
from ml_backend.rounds.workspace import Run
from ml_backend.selection.context import COLD_START, strategy_in_use
from ml_backend.store.heads import write_heads
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import answers, newest_usable

KIND_CHANGED: Final = "The labeling config takes another number of choices per answer than the served model learnt."
COVERAGE: Final = "typiclust"
"""The strategy to order by while the model is no better than guessing."""


def serve(project: RoundProject, newest: str | None, run: Run) -> RoundProject:
    """Choose the version, queue the open tasks by it, and publish.

    Args:
        project: as the round read it.
        newest: the version that this round trained; None where it trained none.
        run: the round; its request may name the version to serve from now on.

    Returns:
        The project, with the tasks that rows of a pool outside became.

    Raises:
        StoreError: the version to pin is not stored, or answers another question. LabelStudioError: publishing failed.
    """
    store, recorder, report, pin = project.store, run.recorder, run.report, run.request.pin
    if newest is None and _waits(project):
        recorder.warn(f"{KIND_CHANGED} The old order stands until a model has learnt the new question.", "labels")
        return project
    version = _pinned_version(project, pin, newest or _usable_version(project, recorder), recorder)
    report.version = version
    note_version(version)
    manifest = store.manifest(version) if version else None
    report.metrics = manifest.metrics if manifest else None
    if guesses := manifest.guesses if manifest else "":
        recorder.warn(f"{version} is {guesses}. Its guesses are not shown, and the order covers the pool instead.")
    model = run.workspace.library.load(store, manifest.name) if manifest and not guesses else None
    project = as_read_by(manifest if model else None, project, recorder)
    heads = fit_heads(project, recorder) if project.pool.open else ()
    project = _searched(_covering(project) if guesses else project, model, run, heads)
    ages = run.workspace.client.version_ages(project.now.id) if project.pool.open else {}
    if project.pool.open:
        project, report.queue = make_queue(project, model, version, ages, run, with_open_tasks(heads, project))
    if report.queue and report.queue.predictions:
        if not run.is_dry:
            write_heads(store.folder, report.queue.name, [each.head for each in heads], keep=_served(store))
            _publish(project, report.queue, pin or store.current().pinned, run, ages)
        return project
    _without_order(project, None if run.is_dry else pin, recorder)
    return project


def _served(store: ProjectStore) -> tuple[str, ...]:
    """The queue that people get until the new one is published."""
    before = store.current().queue
    return () if before is None else (before,)


def _take_empty(project: RoundProject, run: Run) -> None:
    """Let people submit an annotation without a choice, if “none of the labels” is an answer."""
    if not project.question.none_is_an_answer or project.now.takes_empty:
        return
    run.workspace.client.take_empty(project.now.id)
    run.warn(
        "Label Studio took no annotation without a choice here, which is an answer where several may be chosen: it "
        'does now. Set required="true" in the labeling config where a label always fits.'
    )


def _without_order(project: RoundProject, pin: str | None, recorder: Recorder) -> None:
    """Warn that there is no new order, and why; a version to be pinned is remembered for the next one."""
    if pin:
        project.store.set_current(replace(project.store.current(), pinned=pin))
    if project.pool.open:
        recorder.warn("None of the open tasks can be read; the order is unchanged.")
        return
    recorder.warn(nothing_open(project.now, has_pool=project.outside is not None), "open")


def _searched(project: RoundProject, model: Model | None, run: Run, heads: Sequence[QuestionHead]) -> RoundProject:
    """The project with those rows of its pool outside that are worth comparing now; unchanged if it has none."""
    if project.outside is None:
        return project
    project = project.outside.searched(project, model, run.recorder, [each.head for each in heads])
    return replace(project, unlabelled=unlabelled(project, run.recorder, dry_run=run.is_dry))


def _waits(project: RoundProject) -> bool:
    """Whether the served version learnt single answers and the question now takes sets, or the other way round."""
    store = project.store
    name = store.current().version
    if name is None or name not in store.versions():
        return False
    kind = store.manifest(name).multiple
    usable = newest_usable(store, project.question, promoted_only=False)
    return kind != project.question.multiple and usable is None


def _covering(project: RoundProject) -> RoundProject:
    """The project with a strategy that uses only the pool, because the certainties of a guessing model mean nothing."""
    return replace(project, settings=project.settings.override({"strategy": COVERAGE}, where="Coverage"))


def _pinned_version(project: RoundProject, pin: str | None, newest: str | None, recorder: Recorder) -> str | None:
    """The version that is pinned, now or before, if it answers the question; otherwise the newest."""
    store = project.store
    pinned = pin or store.current().pinned
    if pinned is None or (pinned == newest and not pin):
        return newest
    if pinned in store.versions() and answers(store.manifest(pinned), project.question):
        if newest != pinned and not pin:
            recorder.warn(f"{pinned} is pinned and goes on being served, not {newest} (lsal versions unpin).")
        return pinned
    if pin:
        raise StoreError(
            f"Version {pin} cannot be served: it is not stored, or answers another question than is asked now."
        )
    recorder.warn(
        f"{pinned} is pinned but gone, or answers another question than is asked now: {newest or 'a random order'} is "
        "served."
    )
    return newest


def _usable_version(project: RoundProject, recorder: Recorder) -> str | None:
    """The newest stored version that answers the project's question as it stands."""
    gate = project.settings.promote_margin is not None
    name = newest_usable(project.store, project.question, promoted_only=gate)
    if name is None and project.store.versions():
        recorder.warn(
            "The labeling config's choices changed since the last training, or what is learnt from did: train again "
            "to use what is new."
        )
    if name is None:
        strategy = strategy_in_use(project.settings, trained=False)
        order = "in a random order, fixed by the seed" if strategy == COLD_START else f"by {strategy}, which needs none"
        recorder.warn(f"No trained model yet: the open tasks are queued {order}.", "labels")
    return name


def _publish(project: RoundProject, queue: Queue, pinned: str | None, run: Run, ages: Mapping[str, timedelta]) -> None:
    client, project_id, question = run.workspace.client, project.now.id, project.question
    _take_empty(project, run)

    def send() -> Queue:
        publish(client, project_id, queue, question, step=run.step)
        return queue

    def tidy() -> None:
        keep = run.workspace.keep_queues
        run.report.replaced = delete_replaced(client, project_id, queue, question.field, ages=ages, keep=keep)
        list_them(client, project_id, project.pool, question)

    switch_order(project.store, queue, pinned, run, publish=send, tidy=tidy)
