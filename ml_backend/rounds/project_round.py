"""One round of a project under an installation's settings: what the round process, RQ workers and commands call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ml_backend import hardware
from ml_backend.config import Settings, load_settings
from ml_backend.errors import ActiveLearningError, ConfigurationError, LabelStudioError
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import make_client
from ml_backend.rounds.extra_params import change_params
from ml_backend.rounds.log import record_lost_round, record_round
from ml_backend.rounds.options import RoundOptions
from ml_backend.rounds.report import Report
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.library import ModelLibrary
from ml_backend.store.registry import stores_of

ROUND_PATIENCE: Final = 30.0
"""Seconds that a round waits for another one of the project, on whatever machine, before it fails."""
LIBRARY: Final = ModelLibrary()
"""Shared by all requests and rounds of this process."""


def run_project_round(
    project_id: int,
    trigger: str = "asked",
    options: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """One round: train, judge, publish a new queue. The labels are read from Label Studio.

    Args:
        project_id: the project in Label Studio.
        trigger: why it runs.
        options: `RoundOptions` as JSON.
        settings: the installation's; default: the environment's.

    Returns:
        JSON-able summary: version, queue, metrics, warnings, steps.

    Raises:
        ActiveLearningError: the round failed. It carries no other error: RQ keeps and logs all texts of a chain, and
            those that are none of ours may quote a task.
    """
    try:
        return _summary(_round(settings or load_settings(), project_id, trigger, RoundOptions.from_json(options)))
    except ActiveLearningError as exc:
        raise type(exc)(str(exc)) from None
    except Exception as exc:
        raise ActiveLearningError(f"The round failed ({type(exc).__name__}); the log says where.") from None


def _round(settings: Settings, project_id: int, trigger: str, options: RoundOptions) -> Report:
    client = client_of(settings)
    if client is None:
        raise ConfigurationError("No token to read labels with: set LABEL_STUDIO_API_KEY for the backend.")
    if options.changes:
        _change_params(settings, client, project_id, options.changes, trigger)
    return record_round(
        workspace(settings, client),
        project_id,
        trigger=trigger,
        patience=ROUND_PATIENCE,
        train=options.train,
        pin=options.pin,
        unpin=options.unpin,
        fit_random=options.train,
        draw_map=True,
    )


def _summary(report: Report) -> dict[str, Any]:
    return {
        "version": report.version,
        "queue": report.queue.name if report.queue else None,
        "metrics": report.metrics,
        "warnings": report.warnings,
        "steps": [asdict(step) for step in report.steps],
    }


def _change_params(
    settings: Settings, client: LabelStudioClient, project_id: int, changes: Mapping[str, Any], trigger: str
) -> None:
    """Before the round, which is to run under them; where that fails, so does the round."""
    started = datetime.now(UTC)
    try:
        change_params(settings, client, project_id, changes)
    except ActiveLearningError as exc:
        record_lost_round(stores_of(settings), project_id, trigger=trigger, started=started, error=exc)
        raise


def client_of(settings: Settings) -> LabelStudioClient | None:
    """A client of Label Studio; None where there is no token, or an expired one."""
    try:
        return make_client(settings)
    except (ConfigurationError, LabelStudioError):
        return None


def workspace(settings: Settings, client: LabelStudioClient) -> Workspace:
    """What rounds need, from settings; from then on this process computes as these say."""
    hardware.use(settings.hardware())
    return Workspace(
        client,
        settings.model_dir,
        settings.project_defaults(),
        LIBRARY,
        settings.keep_versions,
        timedelta(seconds=settings.keep_queues_seconds),
        stores_of(settings),
    )
