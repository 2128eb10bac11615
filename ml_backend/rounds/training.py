"""The training half of a round: fit, have the result judged, store it, and decide whether to serve it."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from ml_backend.draws import Ids
from ml_backend.evaluation.promotion import Comparison, is_promoted
from ml_backend.files import fingerprint
from ml_backend.label_sets import shown
from ml_backend.logs import note_version
from ml_backend.models.base import LabeledItems
from ml_backend.models.several import different_answers
from ml_backend.records import Progress
from ml_backend.rounds.class_descriptions import descriptions
from ml_backend.rounds.earlier_version import earlier_version
from ml_backend.rounds.guessing import by_cross_validation, has_enough
from ml_backend.rounds.judging import choose_thresholds
from ml_backend.rounds.project import RoundProject, read_labelled, read_tasks
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.verdict import Verdict, evaluation_state, judge
from ml_backend.rounds.workspace import Run
from ml_backend.semi_supervised.choice import UNLABELLED_TOO, Fit, OpenItems, fit, learns_from_pool
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.store.manifest import Manifest
from ml_backend.store.versions import better_than, library_versions, version_with

FINGERPRINT_FORMAT = 3
"""Raise it if the same labels and settings should be trained on again after an update."""


def train_version(project: RoundProject, run: Run) -> str | None:
    """Train and store a version, unless one was trained on these labels already; the name of either.

    None if there is nothing to train on. A version that is clearly worse than an older one is stored, and the name of
    the older one returned.
    """
    recorder, report = run.recorder, run.report
    labels = [label for _, label in project.pool.training]
    report.labels, report.label_counts = len(labels), project.label_counts
    if len(set(labels)) < 2:
        found = f"all {len(labels)} labels are {shown(labels[0])!r}" if labels else "there are no labels yet"
        recorder.warn(f"Nothing to train on: {found}. Label tasks of two classes first.", "labels")
        return None
    missing = [label for label in project.question.labels if label not in report.label_counts]
    if missing:
        more = " and more" if len(missing) > 10 else ""
        recorder.warn(f"No example yet of: {', '.join(missing[:10])}{more}.", "labels")
    fingerprint = fingerprint_of(project)
    known = version_with(project.store, fingerprint)
    if known:
        return _admitted(project, _reconsidered(project, known, run), recorder)
    with recorder.step("fit") as step:
        examples, task_ids = read_labelled(project.pool.training, project, report)
        if different_answers(examples.targets) < 2:
            recorder.warn("Nothing to train on: the labelled tasks that can be read are all of one class.", "labels")
            return None
        earlier = earlier_version(project, run)
        fitted = _fit(project, task_ids, examples, earlier, report, step.progress)
        report.learnt_from = told_of(fitted.reason, outside=project.outside is not None)
        step.detail = f"{len(examples.targets)} labels, {fitted.training.epochs} epochs"
        step.detail += f", {report.learnt_from}" if report.learnt_from else ""
    verdict = judge(project, fitted.model, project.store.current().version, run)
    if verdict.evaluation_predictions is None and has_enough(project, task_ids, examples):
        with recorder.step("cross-validate") as step:
            verdict = replace(verdict, guessing=by_cross_validation(project, task_ids, examples, step.progress))
    with recorder.step("store") as step:
        manifest = _store(project, fitted, fingerprint, verdict, report, made=run.workspace.now())
        note_version(manifest.name)
        step.detail = manifest.name
        if pruned := project.store.prune(run.workspace.keep_versions):
            step.detail += f" ({len(pruned)} old versions deleted)"
    report.trained = True
    return _admitted(project, manifest, recorder)


def told_of(reason: str, *, outside: bool) -> str:
    """What a model learnt from, in words; with a pool outside, also from rows that are not tasks."""
    return reason.replace(UNLABELLED_TOO, "tasks and rows of the pool that were compared") if outside else reason


def _fit(
    project: RoundProject,
    task_ids: Ids,
    known: LabeledItems,
    earlier: Earlier | None,
    report: Report,
    progress: Progress,
) -> Fit:
    """A model trained on the labels and, if it is large enough, the pool."""
    settings = project.settings
    evaluation, _ = read_labelled(project.pool.evaluation, project, report)
    found = fit(
        Recipe(
            project.new_model,
            seed=settings.seed,
            hyperparameters=settings.hyperparameters,
            evaluation=evaluation,
            progress=progress,
        ),
        known,
        task_ids.tolist(),
        OpenItems(
            len(project.pool.open), lambda: read_tasks(project.pool.open, project, report).items, project.unlabelled
        ),
        earlier=earlier,
    )
    choose_thresholds(found.model, evaluation)
    return found


def _reconsidered(project: RoundProject, name: str, run: Run) -> Manifest:
    """A known version, judged again if the answers to evaluation tasks have changed.

    A version that was held back gets another chance then, or if the margin was changed.
    """
    store, margin = project.store, project.settings.promote_margin
    manifest = store.manifest(name)
    comparison = Comparison(**manifest.comparison) if manifest.comparison and not manifest.promoted else None
    fields: dict[str, Any] = {} if manifest.promoted else {"promoted": is_promoted(comparison, margin)}
    judged = None
    if project.pool.evaluation and manifest.evaluation_fingerprint != evaluation_state(project):
        model = run.workspace.library.load(store, name)
        verdict = judge(project, model, comparison.against if comparison else None, run)
        judged = verdict.evaluation_predictions
        if judged is not None:
            fields = verdict.measures if manifest.promoted else verdict.as_fields(margin)
    changed = manifest.model_copy(update=fields)
    if changed != manifest:
        store.update_manifest(changed, judged)
    return changed


def _admitted(project: RoundProject, manifest: Manifest, recorder: Recorder) -> str:
    """The version to serve: this one, or an older one if this one is clearly worse."""
    better = None if manifest.promoted else better_than(project.store, manifest, project.question)
    if better is None:
        return manifest.name
    recorder.report.held_back = manifest.name
    recorder.warn(
        f"{manifest.name} is kept but not served: {Comparison(**(manifest.comparison or {}))}. {better} stays in "
        "use until labels change; check the newest ones. (Setting promote_margin; null serves every new model.)"
    )
    return better


def _store(
    project: RoundProject, fitted: Fit, fingerprint: str, verdict: Verdict, report: Report, *, made: datetime
) -> Manifest:
    model, training, learnt_from = fitted.model, fitted.training, fitted.learnt_from
    weights, config = model.state()
    name = project.store.next_version_name(model.name, fingerprint)
    manifest = Manifest(
        name=name,
        model=model.name,
        number=int(name.split("-")[-2]),
        created_at=made,
        object_tag=project.question.object_tag,
        control=project.question.control,
        labels=project.question.labels,
        multiple=project.question.multiple,
        config=config,
        fingerprint=fingerprint,
        examples=len(project.pool.training) if learnt_from == "pool" else training.examples,
        learnt_from=learnt_from,
        started_from=project.store.current().version if fitted.in_a_row else None,
        in_a_row=fitted.in_a_row,
        label_counts=report.label_counts,
        training={**asdict(training), "hyperparameters": dict(training.hyperparameters)},
        settings=_settings(project),
        libraries=library_versions(),
        parent=project.store.current().version,
        agreement=asdict(report.agreement) if report.agreement else None,
        **verdict.as_fields(project.settings.promote_margin),
    )
    project.store.write_version(manifest, weights, verdict.evaluation_predictions)
    return manifest


def _settings(project: RoundProject) -> dict[str, Any]:
    """The project's settings, with what its vectors were really made of, which may come from the previous order."""
    wanted = project.question.wanted
    source = {"objects": wanted.objects, "embedding_field": wanted.embedding_field} if project.question.parts else {}
    return project.settings.model_dump() | source


def fingerprint_of(project: RoundProject) -> str:
    """Hash of everything that shapes the weights: two rounds with the same hash would train the same model."""
    labelled = sorted((task.id, label, project.question.content(task.data)) for task, label in project.pool.training)
    content = [
        FINGERPRINT_FORMAT,
        project.model.name,
        project.question.labels,
        project.settings.seed,
        project.settings.hyperparameters,
        labelled,
    ]
    if project.question.multiple:
        content.append("sets")
    if project.read_by:
        content.append(project.read_by)
    if project.unlabelled is not None and learns_from_pool(project.unlabelled, len(project.pool.open)):
        # The open tasks themselves are left out: an import alone is no reason to train again.
        content += [dict(project.unlabelled.embedding.made_of), project.settings.class_shares]
        if project.unlabelled.names is not None:
            content.append(descriptions(project.question, project.settings))
    return fingerprint(content)
