"""What a job in Redis calls by name in a worker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ml_backend.config import Settings
from ml_backend.pool.round_requests import run_request
from ml_backend.rounds.request import ASKED, RoundRequest


def run_project_round(
    project_id: int,
    trigger: str = ASKED,
    options: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Run the round that a queued job asks for, with the requests that came while it waited.

    Args:
        project_id: the project in Label Studio.
        trigger: why it runs.
        options: `RoundRequest.as_options`.
        settings: the installation's; default: the environment's.

    Returns:
        As `run_request`.

    Raises:
        ActiveLearningError: the round failed, or comes from another release.
    """
    return run_request(_merged() or RoundRequest.from_options(project_id, trigger, options), settings=settings)


def _merged() -> RoundRequest | None:
    """The request of the job that this process is working on; None outside a worker."""
    if "rq" not in sys.modules:
        return None
    from rq import get_current_job

    from ml_backend.jobs.redis_queue import requested

    job = get_current_job()
    return requested(job) if job is not None else None
