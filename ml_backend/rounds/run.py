"""One round: read, fit, judge, score, rank, store, publish. Webhook, poller, scripts and simulation all call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.errors import LabelStudioError, StoreError
from ml_backend.evaluation import agreement
from ml_backend.label_studio.client import UNCERTAINTY_SAMPLING
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.publishing import delete_replaced, latest_number, publish
from ml_backend.label_studio.queue_names import queue_name
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.logs import note_version
from ml_backend.models.base import Model
from ml_backend.models.registry import model_for_object_tag
from ml_backend.records import Prediction, Project, Queue
from ml_backend.rounds.embedding import unlabelled
from ml_backend.rounds.examples import divide
from ml_backend.rounds.label_review import recheck
from ml_backend.rounds.live_graph import write_live_graph
from ml_backend.rounds.map import draw
from ml_backend.rounds.measures import update
from ml_backend.rounds.report import Observer, Recorder, Report
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import RoundProject, Workspace, read_known, read_tasks
from ml_backend.selection.context import COLD_START, QueryContext, strategy_in_use, wants
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.select import Selection, arrange, assess, first_candidates
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_overrides import forget
from ml_backend.store.queue_overrides import read as read_wishes
from ml_backend.store.versions import answers, newest_usable
from ml_backend.strategies import auto
from ml_backend.strategies.mixture import needs, parse_strategy, short_name

__all__ = ["Workspace", "run_round"]


def run_round(
    workspace: Workspace,
    project_id: int,
    *,
    overrides: Mapping[str, Any] | None = None,
    train: bool = True,
    whole_pool: bool = False,
    dry_run: bool = False,
    pin: str | None = None,
    unpin: bool = False,
    patience: float = 0,
    fit_random: bool = False,
    draw_map: bool = False,
    observer: Observer | None = None,
) -> Report:
    """Run one round of one project.

    Without new labels or settings nothing is trained again; the same version scores the tasks that are open now.

    Args:
        workspace: what rounds share.
        project_id: the project in Label Studio.
        overrides: per-project settings for this round, over the project's extra params.
        train: whether to fit; else the stored version is used.
        whole_pool: queue every open task instead of the first ``queue_size``.
        dry_run: rank, but write neither to Label Studio nor to the store.
        pin: serve this stored version, in this round and in those to come, until it is unpinned.
        unpin: let this round and those to come choose the version again.
        patience: seconds to wait for another round of the project.
        fit_random: after the new order stands, fit one model of random labels alone where one is due, to measure what
            the active order saves.
        draw_map: after the new order stands, draw a map of the pool, unless the project's settings say not to.
        observer: watches the steps.

    Raises:
        LabelStudioError: Label Studio failed; the old order stands.
        LabelConfigError: the project does not ask one choice about one image or text.
        ConfigurationError: wrong settings. StoreError: the store failed, or another round of the project is running.
    """
    report = Report(project_id)
    recorder = Recorder(report, observer)
    now = workspace.client.project(project_id)
    report.title = now.title
    store = workspace.store(now.uid)
    # Read under the lock as well: what holds it may be writing annotations that it takes back (the order proof).
    with nullcontext() if dry_run else store.lock(timeout=patience):
        if not dry_run and store.announced():  # an earlier round was cut off while it published
            now = workspace.client.project(project_id)
            store.settle(now.model_version)
        if unpin and not dry_run:
            store.set_current(replace(store.current(), pinned=None))
        note_version(store.current().version)
        read = _read(now, store, workspace, recorder, overrides)
        if not dry_run:
            store.note_question(read.question, now.title)
            _forget_wishes(read)
        _warn_about(read, recorder)
        for project in _stages(read, recorder, dry_run=dry_run):
            newest = train_version(project, workspace, recorder) if train and not dry_run else None
            _serve(project, newest, workspace, recorder, whole_pool=whole_pool, dry_run=dry_run, pin=pin)
        if draw_map and not dry_run:
            draw(project, report, workspace, recorder)
        if not dry_run:
            report.measures = update(project, report.version, recorder, fit_random=fit_random)
        if train and not dry_run:
            recheck(project, workspace, recorder)
    return report


def _read(
    now: Project,
    store: ProjectStore,
    workspace: Workspace,
    recorder: Recorder,
    overrides: Mapping[str, Any] | None,
) -> RoundProject:
    with recorder.step("read") as step:
        question = parse_label_config(now.label_config, project=now.id)
        settings = _settings(workspace, store, overrides, now.id)
        mirror = TaskCache(store.task_cache_path)
        refresh = mirror.refresh(workspace.client, now.id, listener=lambda rows: step.progress(rows, now.task_count))
        step.detail = f"{refresh.read} of {now.task_count} tasks"
        wishes = read_wishes(store)
        pool = divide(mirror.tasks(), question, wishes.dropped)
        media = MediaReader(workspace.client, mirror.cached_media, mirror.keep_media)
        model = model_for_object_tag(question.object_tag, settings.text_model)
    recorder.report.open_tasks = len(pool.open)
    recorder.report.agreement = agreement.measure(pool.several.values())
    return RoundProject(now, store, question, settings, pool, media, model, wishes)


def _forget_wishes(project: RoundProject) -> None:
    """Those about tasks that are answered, skipped or gone."""
    front, dropped = project.wishes.front, project.wishes.dropped
    if front or dropped:
        open_ids = {task.id for task in project.pool.open} | project.pool.dropped
        forget(project.store, {*front, *dropped} - open_ids)


def _stages(project: RoundProject, recorder: Recorder, *, dry_run: bool) -> Iterator[RoundProject]:
    """The project with its embedding; where that takes long, first without, so that an order stands meanwhile."""
    known = unlabelled(project, recorder, at_once=True, dry_run=dry_run)
    yield replace(project, unlabelled=known)
    later = None if dry_run or known else unlabelled(project, recorder, at_once=False)
    if later is not None:
        yield replace(project, unlabelled=later)


def _serve(
    project: RoundProject,
    newest: str | None,
    workspace: Workspace,
    recorder: Recorder,
    *,
    whole_pool: bool,
    dry_run: bool,
    pin: str | None,
) -> None:
    """Choose the version, queue the open tasks by it, and publish."""
    store, pool, report = project.store, project.pool, recorder.report
    version = _pinned_version(project, pin, newest or _usable_version(project, recorder), recorder)
    report.version = version
    note_version(version)
    report.metrics = store.manifest(version).metrics if version else None
    loaded = workspace.library.load(store, version) if version else None
    if pool.open:
        report.queue = _queue(project, loaded, version, workspace, recorder, whole_pool=whole_pool, dry_run=dry_run)
    if report.queue and report.queue.predictions:
        if not dry_run:
            _publish(project, report.queue, pin or store.current().pinned, workspace, recorder)
        return
    if pool.open:
        recorder.warn("None of the open tasks can be read; the order is unchanged.")
    else:
        recorder.warn("No open tasks: everything is labelled or skipped. Import more tasks; the order is unchanged.")
    if not dry_run and pin:  # there is no order to change with it: the next one will be this version's
        store.set_current(replace(store.current(), pinned=pin))


def _settings(
    workspace: Workspace, store: ProjectStore, overrides: Mapping[str, Any] | None, project_id: int
) -> ProjectSettings:
    where = f"Extra params of project {project_id} (Settings > Model)"
    settings = workspace.defaults.override(store.extra_params(), where=where)
    return settings.override(overrides, where="Settings of this round")


def _warn_about(project: RoundProject, recorder: Recorder) -> None:
    pool, now, current = project.pool, project.now, project.store.current()
    if pool.skipped:
        recorder.warn(f"{pool.skipped} skipped tasks are left out of the queue.")
    if pool.dropped:
        recorder.warn(f"{len(pool.dropped)} tasks that somebody dropped on the dashboard are left out of the queue.")
    if pool.foreign_labels:
        shown = ", ".join(f"{label!r} ({count})" for label, count in pool.foreign_labels.most_common(5))
        recorder.warn(f"Labels that the labeling config does not list are left out: {shown}.")
    if pool.tied:
        shown = ", ".join(map(str, pool.tied[:5]))
        recorder.warn(f"{len(pool.tied)} tasks have tied answers and are left out until another decides: {shown}.")
    if current.queue and now.sampling != UNCERTAINTY_SAMPLING:
        recorder.warn(f'Sampling had been set to "{now.sampling}": set back to "{UNCERTAINTY_SAMPLING}".')
    if current.queue and now.model_version != current.queue:
        recorder.warn(f'The served model version had been changed to "{now.model_version}".')
    if now.maximum_annotations > 1:
        recorder.warn(
            f"{now.maximum_annotations} annotations per task are asked for: Label Studio gives a second annotator "
            "tasks that have one already, in random order, before it follows the queue."
        )


def _pinned_version(project: RoundProject, pin: str | None, newest: str | None, recorder: Recorder) -> str | None:
    """The version that is pinned, now or before, where it answers the question; else the newest."""
    store = project.store
    pinned = pin or store.current().pinned
    if pinned is None or (pinned == newest and not pin):
        return newest
    if pinned in store.versions() and answers(store.manifest(pinned), project.question):
        if newest != pinned and not pin:
            recorder.warn(f"{pinned} is pinned and goes on being served, not {newest} (scripts/versions.py unpin).")
        return pinned
    if pin:
        raise StoreError(f"Version {pin} cannot be served: it is not stored, or the labeling config's choices changed.")
    recorder.warn(f"{pinned} is pinned but gone, or the choices changed: {newest or 'a random order'} is served.")
    return newest


def _usable_version(project: RoundProject, recorder: Recorder) -> str | None:
    """The newest stored version that answers the project's question as it stands."""
    gate = project.settings.promote_margin is not None
    name = newest_usable(project.store, project.question, promoted_only=gate)
    if name is None and project.store.versions():
        recorder.warn("The labeling config's choices changed since the last training: train again to use the new ones.")
    if name is None:
        strategy = strategy_in_use(project.settings, trained=False)
        order = "in a random order, fixed by the seed" if strategy == COLD_START else f"by {strategy}, which needs none"
        recorder.warn(f"No trained model yet: the open tasks are queued {order}.")
    return name


# --- score, rank, publish ---------------------------------------------------------------------------------------


def _queue(
    project: RoundProject,
    model: Model | None,
    version: str | None,
    workspace: Workspace,
    recorder: Recorder,
    *,
    whole_pool: bool,
    dry_run: bool,
) -> Queue:
    trained = model is not None
    strategy = strategy_in_use(project.settings, trained=trained)
    settings = project.settings.override({"strategy": strategy}, where="Cold start")
    tasks = project.pool.open
    count = len(tasks) if whole_pool else settings.queue_size
    existing = workspace.client.prediction_versions(project.now.id)
    number = max(project.store.next_queue_number(), latest_number(existing) + 1)
    with recorder.step("score") as step:
        ids = np.array([task.id for task in tasks], dtype=np.int64)
        wanted_first = _positions(project.wishes.front, ids)
        candidates = np.union1d(first_candidates(ids, settings, trained=trained, count=count), wanted_first)
        examples = read_tasks([tasks[i] for i in candidates], project, recorder.report)
        wanted = wants(settings, trained=trained)
        labelled = read_known(project.pool.training, project, recorder.report) if "labelled" in wanted else None
        validation = read_known(project.pool.evaluation, project, recorder.report) if "validation" in wanted else None
        context = QueryContext(
            model,
            examples.items,
            examples.task_ids,
            settings,
            len(project.question.labels),
            labelled,
            validation,
            project.unlabelled,
        )
        scores = assess(context, progress=step.progress)
        step.detail = f"{len(examples.items)} tasks"
    with recorder.step("rank") as step:
        front = _positions(project.wishes.front, examples.task_ids)
        chosen = arrange(context, scores, count=count, turn=len(tasks), front=front)
        predictions = _predictions(chosen, examples.task_ids, project.question.labels)
        step.detail = f"{len(predictions)} by {strategy}"
        if any(part.name == "auto" for part in parse_strategy(strategy)):
            report = recorder.report
            labels = [label for _, label in project.pool.training]
            report.choice = auto.explain(len(labels), len(set(labels)), len(project.question.labels))
            if project.unlabelled is None:
                report.choice += "; neighbours by " + ("raw features" if model is None else "the model's own features")
            step.detail += f" ({report.choice})"
    samples = settings.samples if "samples" in needs(strategy) else 1
    name = queue_name(version, short_name(strategy), number)
    queue = Queue(name, version, strategy, samples, settings.seed, predictions)
    if not dry_run:
        write_live_graph(project, queue, context, scores, recorder.report)
    return queue


def _positions(task_ids: Sequence[int], among: Ids) -> NDArray[np.int64]:
    """Where these tasks are among others, in their order; those that are not there are left out."""
    where = {task: position for position, task in enumerate(among.tolist())}
    return np.array([where[task] for task in task_ids if task in where], dtype=np.int64)


def _predictions(chosen: Selection, task_ids: Ids, labels: Sequence[str]) -> tuple[Prediction, ...]:
    scores, served = chosen.scores, queue_scores(chosen.utility)
    return tuple(
        Prediction(
            int(task_ids[i]),
            None if scores is None else labels[scores.winner[i]],
            0.0 if scores is None else float(scores.confidence[i]),
            float(score),
            picked_by,
            chosen.reason(place).format(*labels),
        )
        for place, (i, score, picked_by) in enumerate(zip(chosen.order, served, chosen.picked_by, strict=True))
    )


def _publish(project: RoundProject, queue: Queue, pinned: str | None, workspace: Workspace, recorder: Recorder) -> None:
    client, project_id, question = workspace.client, project.now.id, project.question
    project.store.write_queue(queue)
    project.store.announce(Current(queue.version, queue.name, pinned))
    publish(client, project_id, queue, question, prelabel=project.settings.prelabel, step=recorder.step)
    project.store.settle(queue.name)
    recorder.report.published = True
    try:
        with recorder.step("tidy"):
            recorder.report.replaced = delete_replaced(client, project_id, queue, question, keep=workspace.keep_queues)
    except LabelStudioError as exc:  # annotators have the new order: a later round makes the rest right
        recorder.warn(f"The new order is served, but replaced ones or the tab were not tidied: {exc}")
