"""One round: read, fit, judge, score, rank, store, publish. Server, workers, commands and simulation all use it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from ml_backend import hardware
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
from ml_backend.rounds.project import OutsidePool, RoundProject
from ml_backend.rounds.read import read_project, settings_of
from ml_backend.rounds.report import Observer, Report
from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest, RunOptions
from ml_backend.rounds.serve import serve
from ml_backend.rounds.training import train_version
from ml_backend.rounds.workspace import Run, Workspace
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

    Without new labels or settings nothing is trained; the same version scores the tasks that are open now.

    Args:
        workspace: what rounds share.
        request: what the round should do; `from_settings.run_request` makes changes of settings before.
        options: how to run it.
        observer: watches the steps.

    Raises:
        LabelStudioError: Label Studio failed; the old order stands.
        LabelConfigError: the project does not ask one choice about one image or text.
        ConfigurationError: wrong settings, or a request for changes of settings that were not made before.
        StoreError: the store failed, or another round of the project is running.
    """
    if request.settings:
        raise ConfigurationError(
            f"Nobody has made the changes of {', '.join(request.settings)} that this round is asked for: "
            "use run_request, which makes them."
        )
    run = Run.begin(workspace, request, options, observer)
    report = run.report
    store = workspace.store(workspace.client.project(request.project_id).uid)
    with nullcontext() if run.is_dry else store.lock(timeout=options.patience):
        # Only under the lock: its last holder may have published an order, or (the order proof) have written
        # annotations that it takes back.
        present = read_present(workspace.client, request.project_id)
        report.title, report.seen = present.project.title, seen_in(present)
        if not run.is_dry:
            _settle(present.project, store, unpin=request.unpin)
        note_version(store.current().version)
        settings = settings_of(workspace, store, options.overrides, request.project_id)
        if by_predictions(settings):
            run_predicted(present, store, settings, run)
        else:
            _run_learning(present, store, run)
    return report


def _run_learning(present: Present, store: ProjectStore, run: Run) -> None:
    """The round of a project whose question is learnt."""
    outside = run.workspace.outside(store, run.workspace.client, run.is_dry) if run.workspace.outside else None
    with nullcontext() if outside is None else hardware.sparing(outside.spare_cores):
        read = _read(present, store, run, outside)
        first = first_part(read, run.options.at_once)
        if first is not read:  # embedding the pool may take long: meanwhile people get an order of this part
            _fit_and_serve(first, run, with_pool=False)
            if run.is_dry:
                return
        project = _fit_and_serve(read, run)
        if not run.is_dry:
            _conclude(project, run)


def _read(present: Present, store: ProjectStore, run: Run, outside: OutsidePool | None) -> RoundProject:
    """Read the project and the pool outside that it is connected to, after finishing what an earlier round began."""
    if outside is not None and not run.is_dry:
        outside.settle(present.project, run.recorder)
        present = read_present(run.workspace.client, present.project.id)  # settling may have deleted tasks
    return read_project(present, store, run, outside)


def _settle(now: Project, store: ProjectStore, *, unpin: bool) -> None:
    """Finish what an earlier round left half done, and unpin the version."""
    if store.announced():  # a round was cut off while it published
        store.settle(now.model_version)
    if unpin:
        store.set_current(replace(store.current(), pinned=None))


def _fit_and_serve(read: RoundProject, run: Run, *, with_pool: bool = True) -> RoundProject:
    """Embed the pool, train a version where one is asked for and due, and publish the order by the version in use.

    Args:
        read: the project as it was read, or a part of its pool.
        run: the round.
        with_pool: whether the version learns from the pool, and the embedding is kept: not where it is only a part.

    Returns:
        The project with its pool embedded, and with the tasks that rows of a pool outside became.
    """
    project = replace(read, unlabelled=unlabelled(read, run.recorder, dry_run=run.is_dry or not with_pool))
    newest = None
    if run.request.train and not run.is_dry:
        newest = train_version(project if with_pool else read, run)
    return serve(project, newest, run)


def _conclude(project: RoundProject, run: Run) -> None:
    """Do what nobody waits for, once the new order stands."""
    text_vectors.release()  # all vectors are known by now, and with its libraries the map would be the peak of memory
    if project.outside is not None:
        project.outside.concluded(project, run.recorder)
    if run.options.draw_map:
        draw(project, run)
    run.report.measures = update(project, run)
    if run.request.train:
        recheck(project, run)
