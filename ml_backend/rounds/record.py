"""Runs a round and remembers it: its line in the project's log, its steps while it runs, and what it saw."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import uuid4

from ml_backend.errors import ActiveLearningError, ProjectBusy
from ml_backend.logs import in_round
from ml_backend.rounds.log import NOTES_PATIENCE, Seen, remember
from ml_backend.rounds.progress import LiveProgress, clear
from ml_backend.rounds.report import Observer, Report, Silent, StepTime
from ml_backend.rounds.request import ORDINARY_RUN, RoundRequest, RunOptions
from ml_backend.rounds.run import run_round
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.project_store import open_project
from ml_backend.store.registry import StoreRegistry

log = logging.getLogger(__name__)
MOST_MESSAGES: Final = 20
"""Warnings of a round that its line and the process's log repeat."""
INTERRUPTED: Final = "Interrupted by the person who ran it; model and order are as they were."
UNFORESEEN: Final = "unforeseen"
"""Comes before the name of a foreign error, whose text is not kept because it may contain anything."""


def record_round(
    workspace: Workspace,
    request: RoundRequest,
    options: RunOptions = ORDINARY_RUN,
    *,
    observer: Observer | None = None,
    new_id: Callable[[], str] = lambda: uuid4().hex[:12],
    run: Callable[..., Report] = run_round,
    patience: float = NOTES_PATIENCE,
) -> Report:
    """Run a round and remember it: a line in the project's log and, if it trained, what it saw in Label Studio.

    All log records made meanwhile carry the project, the round's id and the model version, see `logs`.

    Args:
        workspace: what rounds share.
        request: what is asked of the round.
        options: how to run it.
        observer: watches the steps.
        new_id: makes the round's id for `rounds.jsonl` and the logs.
        run: does the round: called as ``run_round``.
        patience: seconds to wait for the lock of notes that are shared.

    Raises:
        ActiveLearningError: as ``run``.
    """
    round_id, project_id, now = new_id(), request.project_id, workspace.now
    facts = {"round": round_id, "started": now().isoformat(), "trigger": request.trigger}
    shown = (lambda: None) if options.dry_run else partial(open_project, workspace.root, project_id)
    steps = LiveProgress(_Logged(observer or Silent()), shown, facts)
    keep = partial(remember, workspace.root, workspace.stores, project_id, patience=patience)
    with in_round(project_id, round_id):
        log.info("round started: %s", request.trigger)
        try:
            report = run(workspace, request, options, observer=steps)
        except BaseException as exc:
            error = _told(exc, attended=options.attended)
            if _is_the_projects(exc, options, has_begun=steps.has_begun):
                keep(_line(facts, now(), steps.done, error=error))
            raise
        finally:
            steps.end()
        if not options.dry_run:
            keep(_line(facts, now(), steps.done, report), _noted(report, request))
        _tell_end(report)
    return report


def _tell_end(report: Report) -> None:
    queue = report.queue.name if report.published and report.queue else "unchanged"
    for warning in report.warnings[:MOST_MESSAGES]:
        log.info("round warns: %s", warning)  # commands, which show no such line, tell them in their own way
    count = len(report.warnings)
    log.info("round done in %.1f s: order %s, %d warning%s", report.seconds, queue, count, "" if count == 1 else "s")


def _noted(report: Report, request: RoundRequest) -> Seen | None:
    """What the round saw in Label Studio, including tasks that it made itself; None if the changes still need a round.

    A round that does not train leaves them for the next one. In a project ordered by another model's predictions, no
    round trains, and each takes them up.
    """
    seen = report.seen
    if seen is None or (not request.train and report.predictions is None):
        return None
    if report.fed is not None:  # an answer that came meanwhile shows in the number of answers
        seen = replace(seen, tasks=report.fed.tasks, newest=report.fed.newest)
    return replace(seen, answers=report.newest_answer, predictions=report.predictions or "")


def _is_the_projects(exc: BaseException, options: RunOptions, *, has_begun: bool) -> bool:
    """Whether a failure belongs in the project's log: not that of a dry run, or of an attempt that had not begun."""
    is_round = not options.dry_run and not isinstance(exc, ProjectBusy)
    return is_round and (has_begun or not options.attended)


def _told(exc: BaseException, *, attended: bool) -> str:
    """The text of an error for the project's log; it is also written to the log of the process.

    There it is not logged as an error if a command tells the person who ran it: they would read the same twice.
    """
    if isinstance(exc, ProjectBusy):
        log.info("no round was run: %s", exc)
        return str(exc)
    if isinstance(exc, KeyboardInterrupt):
        log.warning("round interrupted; the old order stands")
        return INTERRUPTED
    ours = isinstance(exc, ActiveLearningError)
    error = str(exc) if ours else f"{UNFORESEEN} {type(exc).__name__}"
    level = logging.INFO if attended else logging.ERROR
    log.log(level, "round failed; the old order stands: %s", error, exc_info=None if ours else exc)
    return error


def record_lost_round(
    stores: StoreRegistry, request: RoundRequest, *, started: datetime, error: ActiveLearningError
) -> None:
    """Remember a round whose process died before it could do so itself."""
    store = open_project(stores.root, request.project_id)
    if store is not None:
        clear(store)
    record_failure(stores, request, started=started, error=error)


def record_failure(
    stores: StoreRegistry, request: RoundRequest, *, started: datetime, error: ActiveLearningError
) -> None:
    """Remember a round that was asked for and could not begin."""
    facts = {"round": uuid4().hex[:12], "started": started.isoformat(), "trigger": request.trigger}
    remember(stores.root, stores, request.project_id, _line(facts, datetime.now(UTC), (), error=str(error)))


class _Logged:
    """Logs the steps, and passes everything on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def step_started(self, name: str) -> None:
        log.debug("step started: %s", name)
        self._observer.step_started(name)

    def progress(self, name: str, done: int, total: int) -> None:
        self._observer.progress(name, done, total)

    def step_finished(self, step: StepTime) -> None:
        log.info("step %s: %.2f s%s", step.name, step.seconds, f", {step.detail}" if step.detail else "")
        self._observer.step_finished(step)


def _line(
    facts: Mapping[str, Any],
    ended: datetime,
    steps: Iterable[StepTime],
    report: Report | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    line: dict[str, Any] = {
        **facts,
        "ended": ended.isoformat(),
        "steps": [{"name": step.name, "seconds": round(step.seconds, 4)} for step in steps],
        "error": error,
    }
    if report is not None:
        line |= {
            "version": report.version,
            "trained": report.trained,
            "held_back": report.held_back,
            "learnt_from": report.learnt_from,
            "choice": report.choice,
            "beside": report.beside,
            "instant": report.instant,
            "queue": report.queue.name if report.queue else None,
            "published": report.published,
            "open_tasks": report.open_tasks,
            "accuracy": (report.metrics or {}).get("accuracy"),
            "labels": report.labels,
            "agreement": asdict(report.agreement) if report.agreement else None,
            "doubted": None if report.doubted is None else len(report.doubted),
            "warnings": len(report.warnings),
            "messages": report.warnings[:MOST_MESSAGES],
            "messages_about": [report.about.get(text) for text in report.warnings[:MOST_MESSAGES]],
            "counted": report.counted,
        }
    return line
