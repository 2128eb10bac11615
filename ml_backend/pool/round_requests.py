"""Rounds of an installation, those over pools outside Label Studio among them: what servers and commands run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ml_backend.config import Settings, load_settings
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.pool import engine
from ml_backend.pool.rounds import pool_of
from ml_backend.rounds import from_settings
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import FindPool, Workspace


def run_request(
    request: RoundRequest, *, settings: Settings | None = None, run: Callable[..., Report] = record_round
) -> dict[str, Any]:
    """`from_settings.run_request`, over the pool that the project is connected to.

    Nobody waits for such a round, but people label meanwhile, mostly on the same machine: it leaves cores to them.
    """
    settings = settings or load_settings()
    outside = _find_pool(settings, settings.spare_cores)
    return from_settings.run_request(request, settings=settings, run=run, outside=outside)


def workspace(settings: Settings, client: LabelStudioClient) -> Workspace:
    """`from_settings.workspace`, with pools."""
    return from_settings.workspace(settings, client, _find_pool(settings))


def _find_pool(settings: Settings, spare_cores: int = 0) -> FindPool:
    """What finds a project's pool; from then on this process computes over pools as the settings say."""
    engine.use(settings.ray_address)
    return partial(pool_of, settings=settings, spare_cores=spare_cores)
