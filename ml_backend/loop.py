"""One round: read, fit, judge, score, rank, store, publish. Webhook, poller, scripts and simulation all call it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ml_backend.acquisition import get_acquisition
from ml_backend.config import ProjectSettings
from ml_backend.label_config import ChoiceQuestion, parse_label_config
from ml_backend.label_studio import UNCERTAINTY_SAMPLING, LabelStudioClient
from ml_backend.library import ModelLibrary
from ml_backend.media import MediaReader
from ml_backend.metrics import evaluate
from ml_backend.mirror import Mirror
from ml_backend.models import model_for_object_tag
from ml_backend.models.base import Model, TrainingReport
from ml_backend.pool import Examples, Pool, divide, read_items
from ml_backend.publish import latest_number, publish
from ml_backend.queue_names import queue_name
from ml_backend.ranking import Floats, queue_scores, rank, uncertainty
from ml_backend.records import Prediction, Project, Queue, Task
from ml_backend.report import Observer, Recorder, Report
from ml_backend.scoring import score_items
from ml_backend.store import Current, Manifest, ProjectStore

FINGERPRINT_FORMAT = 1
"""Raise it when the same labels and settings should be trained on again."""
COLD_START = "random"
"""Strategy before a first model."""


@dataclass(frozen=True)
class Workspace:
    """What rounds of all projects share."""

    client: LabelStudioClient
    root: Path
    """Folder of all stores."""
    defaults: ProjectSettings = field(default_factory=lambda: ProjectSettings())
    library: ModelLibrary = field(default_factory=ModelLibrary)
    keep_versions: int = 20


@dataclass(frozen=True)
class _Project:
    """One project as a round sees it."""

    now: Project
    store: ProjectStore
    question: ChoiceQuestion
    settings: ProjectSettings
    pool: Pool
    media: MediaReader
    model: type[Model]


def run_round(
    workspace: Workspace,
    project_id: int,
    *,
    overrides: Mapping[str, Any] | None = None,
    train: bool = True,
    whole_pool: bool = False,
    dry_run: bool = False,
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
        observer: watches the steps.

    Raises:
        LabelStudioError: Label Studio failed; the old order stands.
        LabelConfigError: the project does not ask one choice about one image or text.
        ConfigurationError: wrong settings. StoreError: the store failed, or another round of the project is running.
    """
    report = Report(project_id)
    recorder = Recorder(report, observer)
    with recorder.step("read") as step:
        now = workspace.client.project(project_id)
        report.title = now.title
        store = ProjectStore(workspace.root, now.uid)
        question = parse_label_config(now.label_config, project=project_id)
        settings = _settings(workspace, store, overrides, project_id)
        mirror = Mirror(store.mirror_path)
        refresh = mirror.refresh(
            workspace.client, project_id, listener=lambda rows: step.progress(rows, now.task_count)
        )
        step.detail = f"{refresh.read} of {now.task_count} tasks"
        pool = divide(mirror.tasks(), question)
        media = MediaReader(workspace.client, mirror.cached_media, mirror.keep_media)
        model = model_for_object_tag(question.object_tag)
        project = _Project(now, store, question, settings, pool, media, model)
    report.open_tasks = len(pool.open)
    _warn_about(project, recorder)
    with nullcontext() if dry_run else store.lock():
        version = _train(project, workspace, recorder) if train and not dry_run else None
        version = version or _usable_version(project, recorder)
        report.version = version
        if not pool.open:
            recorder.warn(
                "No open tasks: everything is labelled or skipped. Import more tasks; the order is unchanged."
            )
            return report
        loaded = workspace.library.load(store, version) if version else None
        report.queue = _queue(project, loaded, version, workspace, recorder, whole_pool=whole_pool)
        if not report.queue.predictions:
            recorder.warn("None of the open tasks can be read; the order is unchanged.")
        elif not dry_run:
            _publish(project, report.queue, workspace, recorder)
    return report


def _settings(
    workspace: Workspace, store: ProjectStore, overrides: Mapping[str, Any] | None, project_id: int
) -> ProjectSettings:
    where = f"Extra params of project {project_id} (Settings > Model)"
    settings = workspace.defaults.override(store.extra_params(), where=where)
    return settings.override(overrides, where="Settings of this round")


def _warn_about(project: _Project, recorder: Recorder) -> None:
    pool, now, current = project.pool, project.now, project.store.current()
    if pool.skipped:
        recorder.warn(f"{pool.skipped} skipped tasks are left out of the queue.")
    if pool.foreign_labels:
        shown = ", ".join(f"{label!r} ({count})" for label, count in pool.foreign_labels.most_common(5))
        recorder.warn(f"Labels that the labeling config does not list are left out: {shown}.")
    if current.queue and now.sampling != UNCERTAINTY_SAMPLING:
        recorder.warn(f'Sampling had been set to "{now.sampling}": set back to "{UNCERTAINTY_SAMPLING}".')
    if current.queue and now.model_version != current.queue:
        recorder.warn(f'The served model version had been changed to "{now.model_version}".')
    if now.maximum_annotations > 1:
        recorder.warn(
            f"{now.maximum_annotations} annotations per task are asked for: Label Studio gives a second annotator "
            "tasks that have one already, in random order, before it follows the queue."
        )


# --- fit and judge ----------------------------------------------------------------------------------------------


def _train(project: _Project, workspace: Workspace, recorder: Recorder) -> str | None:
    """Fit and store a version; the name of it, or of the one that has these labels already, or None."""
    report = recorder.report
    labels = [label for _, label in project.pool.training]
    report.label_counts = dict(Counter(labels))
    if len(report.label_counts) < 2:
        found = f"all {len(labels)} labels are {labels[0]!r}" if labels else "there are no labels yet"
        recorder.warn(f"Nothing to train on: {found}. Label tasks of two classes first.")
        return None
    missing = [label for label in project.question.labels if label not in report.label_counts]
    if missing:
        recorder.warn(f"No example yet of: {', '.join(missing[:10])}{' and more' if len(missing) > 10 else ''}.")
    fingerprint = _fingerprint(project)
    known = _version_with(project.store, fingerprint)
    if known:
        report.metrics = project.store.manifest(known).metrics
        return known
    model = project.model(project.question.labels)
    with recorder.step("fit") as step:
        examples = _read([task for task, _ in project.pool.training], project, report)
        targets = _targets(labels, examples, [task.id for task, _ in project.pool.training], project.question)
        if len(np.unique(targets)) < 2:
            recorder.warn("Nothing to train on: the labelled tasks that can be read are all of one class.")
            return None
        training = model.fit(
            examples.items,
            targets,
            seed=project.settings.seed,
            hyperparameters=project.settings.hyperparameters,
            progress=step.progress,
        )
        step.detail = f"{training.examples} labels, {training.epochs} epochs"
    report.metrics = _judge(project, model, recorder)
    with recorder.step("store") as step:
        name = _store(project, model, training, fingerprint, report)
        step.detail = name
        workspace_pruned = project.store.prune(workspace.keep_versions)
        if workspace_pruned:
            step.detail += f" ({len(workspace_pruned)} old versions deleted)"
    report.trained = True
    return name


def _judge(project: _Project, model: Model, recorder: Recorder) -> dict[str, Any] | None:
    held_out = project.pool.evaluation
    if not held_out:
        recorder.warn(
            'No labelled evaluation tasks, so nothing is measured. Mark some with "split": "evaluation" in their data '
            "(scripts/import_tasks.py --evaluation)."
        )
        return None
    with recorder.step("judge") as step:
        examples = _read([task for task, _ in held_out], project, recorder.report)
        if not examples.items:
            recorder.warn("None of the evaluation tasks can be read; nothing is measured.")
            return None
        targets = _targets([label for _, label in held_out], examples, [t.id for t, _ in held_out], project.question)
        probabilities = model.probabilities(examples.items).mean(axis=1, dtype=np.float64)
        metrics = asdict(evaluate(probabilities, targets, project.question.labels))
        step.detail = f"{len(targets)} evaluation tasks, accuracy {metrics['accuracy']:.3f}"
    return metrics


def _store(project: _Project, model: Model, training: TrainingReport, fingerprint: str, report: Report) -> str:
    weights, config = model.state()
    name = project.store.next_version_name(model.name, fingerprint)
    manifest = Manifest(
        name=name,
        model=model.name,
        number=int(name.split("-")[-2]),
        created_at=datetime.now(UTC),
        object_tag=project.question.object_tag,
        labels=project.question.labels,
        config=config,
        fingerprint=fingerprint,
        examples=training.examples,
        label_counts=report.label_counts,
        training={**asdict(training), "hyperparameters": dict(training.hyperparameters)},
        metrics=report.metrics,
    )
    project.store.write_version(manifest, weights)
    return name


def _fingerprint(project: _Project) -> str:
    """Hash of all that shapes the weights: two rounds with the same one would train the same model."""
    labelled = sorted((task.id, label, task.data.get(project.question.field)) for task, label in project.pool.training)
    content = [
        FINGERPRINT_FORMAT,
        project.model.name,
        project.question.labels,
        project.settings.seed,
        project.settings.hyperparameters,
        labelled,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _version_with(store: ProjectStore, fingerprint: str) -> str | None:
    names = (name for name in reversed(store.versions()) if name.endswith(f"-{fingerprint[:8]}"))
    return next((name for name in names if store.manifest(name).fingerprint == fingerprint), None)


def _usable_version(project: _Project, recorder: Recorder) -> str | None:
    """The newest stored version that answers the project's question as it stands."""
    store, question = project.store, project.question
    names = store.versions()
    for name in reversed(names):
        manifest = store.manifest(name)
        if (manifest.object_tag, manifest.labels) == (question.object_tag, question.labels):
            return name
    if names:
        recorder.warn("The labeling config's choices changed since the last training: train again to use the new ones.")
    recorder.warn("No trained model yet: the open tasks are queued in a random order, fixed by the seed.")
    return None


# --- score, rank, publish ---------------------------------------------------------------------------------------


def _queue(
    project: _Project,
    model: Model | None,
    version: str | None,
    workspace: Workspace,
    recorder: Recorder,
    *,
    whole_pool: bool,
) -> Queue:
    settings = project.settings
    if model is None:
        settings = settings.override({"strategy": COLD_START}, where="Cold start")
    count = len(project.pool.open) if whole_pool else settings.queue_size
    with recorder.step("score") as step:
        candidates = project.pool.open
        if not get_acquisition(settings.strategy).needs_model:
            candidates = _first_at_random(candidates, settings, count)
        examples = _read(candidates, project, recorder.report)
        if model is None:
            confidences: Floats = np.zeros(len(examples.items))
            guesses: list[str | None] = [None] * len(examples.items)
            # The random score needs no model: uniform probabilities stand in for it.
            uniform = np.full((len(examples.items), 1, len(project.question.labels)), 1 / len(project.question.labels))
            scores = uncertainty(settings.strategy, uniform, examples.task_ids, seed=settings.seed)
        else:
            scored = score_items(model, examples.items, examples.task_ids, settings, progress=step.progress)
            guesses = [project.question.labels[index] for index in scored.winner]
            confidences, scores = scored.confidence, scored.uncertainty
        step.detail = f"{len(examples.items)} tasks by {settings.strategy}"
    with recorder.step("rank"):
        order = rank(scores, examples.task_ids, seed=settings.seed, count=count)
        served = queue_scores(scores[order])
        predictions = tuple(
            Prediction(int(examples.task_ids[i]), guesses[i], float(confidences[i]), float(score))
            for i, score in zip(order, served, strict=True)
        )
    existing = workspace.client.prediction_versions(project.now.id)
    number = max(project.store.next_queue_number(), latest_number(existing) + 1)
    samples = settings.samples if get_acquisition(settings.strategy).stochastic else 1
    name = queue_name(version, settings.strategy, number)
    return Queue(name, version, settings.strategy, samples, settings.seed, predictions)


def _first_at_random(tasks: Sequence[Task], settings: ProjectSettings, count: int) -> list[Task]:
    """The tasks that a random order puts first, and a few more in case some cannot be read."""
    ids = np.array([task.id for task in tasks], dtype=np.int64)
    uniform = np.full((len(ids), 1, 2), 0.5)
    scores = uncertainty(settings.strategy, uniform, ids, seed=settings.seed)
    return [tasks[i] for i in rank(scores, ids, seed=settings.seed, count=2 * count)]


def _publish(project: _Project, queue: Queue, workspace: Workspace, recorder: Recorder) -> None:
    project.store.write_queue(queue)
    recorder.report.replaced = publish(
        workspace.client,
        project.now.id,
        queue,
        project.question,
        prelabel=project.settings.prelabel,
        step=recorder.step,
    )
    project.store.set_current(Current(queue.version, queue.name))
    recorder.report.published = True


def _read(tasks: Sequence[Task], project: _Project, report: Report) -> Examples:
    examples = read_items(tasks, project.question, project.model, project.media)
    report.left_out.update(examples.left_out)
    return examples


def _targets(
    labels: Sequence[str], examples: Examples, task_ids: Sequence[int], question: ChoiceQuestion
) -> np.ndarray[Any, np.dtype[np.int64]]:
    kept = [labels[position] for position in examples.positions(task_ids)]
    return np.array([question.labels.index(label) for label in kept], dtype=np.int64)
