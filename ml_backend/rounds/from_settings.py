"""Rounds as an installation's settings want them: what the round process, RQ workers and commands call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ml_backend import hardware
from ml_backend.config import Settings, load_settings
from ml_backend.encoders import feature_store, folders
from ml_backend.errors import ActiveLearningError, ConfigurationError, LabelStudioError, ProjectBusy, StoreError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import make_client, make_fetcher
from ml_backend.rounds.extra_params import change_params
from ml_backend.rounds.record import record_failure, record_round
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest, RunOptions
from ml_backend.rounds.webhook import mend_webhooks
from ml_backend.rounds.workspace import FindPool, Workspace
from ml_backend.store.library import ModelLibrary
from ml_backend.store.registry import stores_of

ROUND_PATIENCE: Final = 30.0
"""Seconds that a round waits for another one of the project, on whatever machine, before it fails."""
ASKED_PATIENCE: Final = 600.0
"""The same, of a round that does what no later one would do in its place."""
LIBRARY: Final = ModelLibrary()
"""Shared by all requests and rounds of this process."""


def run_request(
    request: RoundRequest,
    *,
    settings: Settings | None = None,
    run: Callable[..., Report] = record_round,
    outside: FindPool | None = None,
) -> dict[str, Any]:
    """One round: train, judge, publish a new queue. The labels are read from Label Studio.

    Args:
        request: what is asked of the round.
        settings: the installation's; default: the environment's.
        run: does the round: called as ``record_round``.
        outside: finds the pool outside Label Studio that the project is connected to; None: there is no such.

    Returns:
        JSON-able summary: version, queue, metrics, warnings, steps.

    Raises:
        ActiveLearningError: the round failed. It carries no other error: RQ keeps and logs all texts of a chain, and
            those that are none of ours may quote a task.
    """
    try:
        return _summary(_round(settings or load_settings(), request, run, outside))
    except ActiveLearningError as exc:
        raise type(exc)(str(exc)) from None
    except Exception as exc:
        raise ActiveLearningError(f"The round failed ({type(exc).__name__}); the log says where.") from None


def _round(settings: Settings, request: RoundRequest, run: Callable[..., Report], outside: FindPool | None) -> Report:
    client = client_of(settings)
    if client is None:
        raise ConfigurationError("No token to read labels with: set LABEL_STUDIO_API_KEY for the backend.")
    if request.settings:
        _change_params(settings, client, request)
        request = replace(request, settings={})
    patience = ASKED_PATIENCE if request.is_one_of_a_kind else ROUND_PATIENCE
    # Before the round, which may take long: labels meanwhile are heard of at once.
    told = mend_webhooks(settings, request.project_id)
    options = RunOptions(fit_random=request.train, draw_map=True, patience=patience, told=tuple(told))
    started = datetime.now(UTC)
    try:
        report = run(workspace(settings, client, outside), request, options)
    except ProjectBusy as exc:
        if not request.is_one_of_a_kind:
            raise
        error = StoreError(
            f"The request was not carried out: somebody else worked on the project for {patience:.0f} seconds."
        )
        record_failure(stores_of(settings), request, started=started, error=error)
        raise error from exc
    return report


def _summary(report: Report) -> dict[str, Any]:
    return {
        "version": report.version,
        "queue": report.queue.name if report.queue else None,
        "metrics": report.metrics,
        "warnings": report.warnings,
        "steps": [asdict(step) for step in report.steps],
    }


def _change_params(settings: Settings, client: LabelStudioClient, request: RoundRequest) -> None:
    """Before the round, which is to run under them; where that fails, so does the round."""
    started = datetime.now(UTC)
    try:
        change_params(settings, client, request.project_id, request.settings)
    except ActiveLearningError as exc:
        record_failure(stores_of(settings), request, started=started, error=exc)
        raise


def client_of(settings: Settings) -> LabelStudioClient | None:
    """A client of Label Studio; None where there is no token, or an expired one."""
    try:
        return make_client(settings)
    except (ConfigurationError, LabelStudioError):
        return None


def workspace(settings: Settings, client: LabelStudioClient, outside: FindPool | None = None) -> Workspace:
    """What rounds need, from settings; from then on this process computes as these say."""
    hardware.use(settings.hardware())
    feature_store.use(settings.model_dir)
    folders.allow(folders.parse_folders(settings.encoder_folders))
    return Workspace(
        client,
        settings.model_dir,
        settings.project_defaults(),
        LIBRARY,
        settings.keep_versions,
        timedelta(seconds=settings.keep_queues_seconds),
        stores_of(settings),
        make_fetcher(settings),
        settings.media_seconds,
        outside,
    )
