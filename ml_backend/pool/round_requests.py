"""Rounds of an installation, those over pools outside Label Studio among them: what servers and commands run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ml_backend.config import Settings
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.pool.rounds import pool_of
from ml_backend.rounds import project_round
from ml_backend.rounds.record import record_round
from ml_backend.rounds.report import Report
from ml_backend.rounds.request import RoundRequest
from ml_backend.rounds.workspace import Workspace


def run_request(
    request: RoundRequest, *, settings: Settings | None = None, run: Callable[..., Report] = record_round
) -> dict[str, Any]:
    """`project_round.run_request`, over the pool that the project is connected to."""
    return project_round.run_request(request, settings=settings, run=run, outside=pool_of)


def workspace(settings: Settings, client: LabelStudioClient) -> Workspace:
    """`project_round.workspace`, with pools."""
    return project_round.workspace(settings, client, pool_of)
