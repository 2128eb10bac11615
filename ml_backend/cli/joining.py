"""A command that finds the project busy joins: it shows what is under way, and does its own work after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from ml_backend.cli.common import messages
from ml_backend.errors import ProjectBusy

if TYPE_CHECKING:
    from ml_backend.config import Settings
    from ml_backend.label_studio.client import LabelStudioClient
    from ml_backend.rounds.following import UnderWay
    from ml_backend.rounds.report import Report
    from ml_backend.rounds.request import RoundRequest, RunOptions

Result = TypeVar("Result")
WHY: Final = {"labels": "for new labels", "time": "for a change", "asked": "asked for"}
"""Trigger of a round → in words; a command's trigger is its name."""

NowOption = Annotated[
    bool,
    typer.Option("--now", help="If another process is working on the project, fail at once instead of joining it."),
]


def joined(
    attempt: Callable[[], Result],
    project_id: int,
    settings: Settings,
    *,
    now: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """The result of ``attempt``, after the rounds that are under way.

    Args:
        attempt: does the command's work, or finds the project busy.
        project_id: the project.
        settings: where its store is; a wait lasts as long as a round may take (ROUND_SECONDS) at most.
        now: do not wait.
        clock: monotonic seconds.
        sleep: waits for so many seconds.

    Raises:
        ProjectBusy: still, or ``now``. Whatever ``attempt`` raises besides.
    """
    from ml_backend.cli.observer import ProgressObserver
    from ml_backend.rounds.following import Follower, follow
    from ml_backend.store.project_store import open_project

    end = clock() + settings.round_seconds
    follower = Follower(_announce)
    has_waited = False
    while True:
        try:
            return attempt()
        except ProjectBusy:
            if now or clock() >= end:
                raise
            if not has_waited:
                _tell(f"Project {project_id} is busy. This command does its work afterwards; --now would not wait.")
                has_waited = True
        with ProgressObserver(messages) as shown:
            follower.show_to(shown)
            follow(open_project(settings.model_dir, project_id), follower, clock=clock, sleep=sleep)


def joined_round(
    settings: Settings, client: LabelStudioClient, request: RoundRequest, options: RunOptions, *, now: bool = False
) -> Report:
    """One round in the foreground, shown, after those that are under way. What hinders it is not the project's.

    Raises:
        ActiveLearningError: as `record_round`.
    """
    from ml_backend.cli.observer import ProgressObserver
    from ml_backend.pool.round_requests import workspace
    from ml_backend.rounds.record import record_round

    options = replace(options, attended=True)

    def attempt() -> Report:
        with ProgressObserver(messages) as observer:
            return record_round(workspace(settings, client), request, options, observer=observer)

    return joined(attempt, request.project_id, settings, now=now)


def _announce(found: UnderWay) -> None:
    seconds = max(0.0, (datetime.now(UTC) - found.started).total_seconds())
    why = WHY.get(found.trigger, f"by lsal {found.trigger}")
    _tell(f"A round {why} is under way for {seconds:.0f} s. Its steps:")


def _tell(text: str) -> None:
    messages.print(text, style="cyan", highlight=False, soft_wrap=True, markup=False)
