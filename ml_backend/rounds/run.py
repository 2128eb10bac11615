"""One round: read, fit, judge, score, rank, store, publish. Webhook, poller, scripts and simulation all call it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from ml_backend.encoders import text_vectors
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.present import Present, read_present
from ml_backend.logs import note_version
from ml_backend.records import Project
from ml_backend.rounds.embedding import first_part, unlabelled
from ml_backend.rounds.label_review import recheck
from ml_backend.rounds.log import seen_in
from ml_backend.rounds.map import draw
from ml_backend.rounds.measures import update
from ml_backend.rounds.predicted.run import run_predicted
from ml_backend.rounds.predicted.wanted import by_predictions
from ml_backend.rounds.read import read_project, settings_of
from ml_backend.rounds.report import Observer, Recorder, Report
from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest, RunOptions
from ml_backend.rounds.serve import serve
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import RoundProject, Workspace
from ml_backend.store.project_store import ProjectStore

__all__ = ["Workspace", "run_round"]


def run_round(
    workspace: Workspace,
    request: RoundRequest,
    options: RunOptions = ORDINARY_RUN,
    *,
    observer: Observer | None = None,
) -> Report:
    """Run one round of one project.

    Without new labels or settings nothing is trained again; the same version scores the tasks that are open now.

    Args:
        workspace: what rounds share.
        request: what is asked of it; changes of settings are made before, by `project_round.run_request`.
        options: how to run it.
        observer: watches the steps.

    Raises:
        LabelStudioError: Label Studio failed; the old order stands.
        LabelConfigError: the project does not ask one choice about one image or text.
        ConfigurationError: wrong settings, or changes of settings that nobody has made.
        StoreError: the store failed, or another round of the project is running.
    """
    if request.settings:
        raise ConfigurationError(
            f"Nobody has made the changes of {', '.join(request.settings)} that this round is asked for: "
            "ask for it by run_request, which does."
        )
    report = Report(request.project_id, warnings=list(options.told))
    recorder = Recorder(report, observer)
    store = workspace.store(workspace.client.project(request.project_id).uid)
    with nullcontext() if options.dry_run else store.lock(timeout=options.patience):
        # Under the lock: another round may have published while this one waited for it, and what holds it may be
        # writing annotations that it takes back (the order proof).
        present = read_present(workspace.client, request.project_id)
        report.title, report.seen = present.project.title, seen_in(present)
        if not options.dry_run:
            _settle(present.project, store, unpin=request.unpin)
        note_version(store.current().version)
        settings = settings_of(workspace, store, options.overrides, request.project_id)
        if by_predictions(settings):
            run_predicted(present, store, settings, workspace, request, options, recorder)
        else:
            _run_learning(present, store, workspace, request, options, recorder)
    return report


def _run_learning(
    present: Present,
    store: ProjectStore,
    workspace: Workspace,
    request: RoundRequest,
    options: RunOptions,
    recorder: Recorder,
) -> None:
    """The round of a project whose question is learnt."""
    read = _read(present, store, workspace, recorder, options)
    first = first_part(read, options.at_once)
    if first is not read:  # embedding the pool may take long: an order stands meanwhile
        _fit_and_serve(first, workspace, request, options, recorder, with_pool=False)
        if options.dry_run:
            return
    project = _fit_and_serve(read, workspace, request, options, recorder)
    if not options.dry_run:
        _conclude(project, workspace, request, options, recorder)


def _read(
    present: Present, store: ProjectStore, workspace: Workspace, recorder: Recorder, options: RunOptions
) -> RoundProject:
    """The project, and the pool outside that it is connected to, after what an earlier round left half done there."""
    outside = workspace.outside(store, workspace.client, options.dry_run) if workspace.outside else None
    if outside is not None and not options.dry_run:
        outside.settle(present.project, recorder)
        present = read_present(workspace.client, present.project.id)  # that may have deleted tasks
    return read_project(present, store, workspace, recorder, options, outside)


def _settle(now: Project, store: ProjectStore, *, unpin: bool) -> None:
    """End what an earlier round left half done, and unpin the version."""
    if store.announced():  # it was cut off while it published
        store.settle(now.model_version)
    if unpin:
        store.set_current(replace(store.current(), pinned=None))


def _fit_and_serve(
    read: RoundProject,
    workspace: Workspace,
    request: RoundRequest,
    options: RunOptions,
    recorder: Recorder,
    *,
    with_pool: bool = True,
) -> RoundProject:
    """One pass: embed the pool, a new version where one is asked for and due, the order by the version in use.

    Args:
        read: the project as it was read, or a part of its pool.
        workspace: what rounds share.
        request: whether to train, and what to pin.
        options: how the round runs.
        recorder: times the steps.
        with_pool: whether the version learns from the pool, and the embedding is kept: not from a part.

    Returns:
        The project with its pool embedded, and with the tasks that rows of a pool outside became.
    """
    project = replace(read, unlabelled=unlabelled(read, recorder, dry_run=options.dry_run or not with_pool))
    newest = None
    if request.train and not options.dry_run:
        newest = train_version(project if with_pool else read, workspace, recorder)
    return serve(project, newest, workspace, recorder, options, request.pin)


def _conclude(
    project: RoundProject, workspace: Workspace, request: RoundRequest, options: RunOptions, recorder: Recorder
) -> None:
    """What nobody waits for, after the new order stands."""
    report = recorder.report
    text_vectors.release()  # its libraries make the map the peak of a round's memory, and all vectors are known by now
    if project.outside is not None:
        project.outside.concluded(project, recorder)
    if options.draw_map:
        draw(project, report, workspace, recorder)
    report.measures = update(project, report.version, recorder, fit_random=options.fit_random)
    if request.train:
        recheck(project, workspace, recorder)
