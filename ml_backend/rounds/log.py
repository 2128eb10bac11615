"""Rounds with a memory: what each one did, one JSON line apiece, and what the last one saw of Label Studio.

::

    <store>/rounds.jsonl       the last 1,000 rounds, failed ones included
    <store>/last_round.json    counts and newest change at the start of the last successful round

By the second file anybody can tell with two cheap reads whether a project changed since its last round, whoever ran it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ml_backend.errors import ActiveLearningError, StoreError
from ml_backend.files import atomic
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.logs import in_round
from ml_backend.rounds.progress import LiveProgress, clear
from ml_backend.rounds.report import Observer, Report, Silent, StepTime
from ml_backend.rounds.run import run_round
from ml_backend.rounds.workspace import Workspace
from ml_backend.store.documents import LOG_NAME
from ml_backend.store.project_store import ProjectStore, open_project
from ml_backend.store.registry import StoreRegistry
from ml_backend.store.round_lines import KEPT_ROUNDS, append_line, read_lines

log = logging.getLogger(__name__)
SEEN_NAME = "last_round.json"
NOTES_PATIENCE = 10.0
"""Seconds to wait for the project's lock where the notes are shared; the next round has begun if it is held."""
MOST_MESSAGES = 20
"""Warnings of a round that its line repeats."""
UNFORESEEN = "unforeseen"
"""Before the name of an error that is none of ours: its text may hold anything."""


@dataclass(frozen=True)
class Seen:
    """What two cheap reads tell about a project."""

    tasks: int = 0
    annotations: int = 0
    newest: str = ""
    """Newest change of any task; empty where there is none."""


def look(client: LabelStudioClient, project_id: int) -> Seen:
    """The project as it is now."""
    newest = client.newest_update(project_id)  # first: what comes between the two reads is then seen as a change
    project = client.project(project_id)
    return Seen(project.task_count, project.annotation_count, newest or "")


def last_seen(store: ProjectStore) -> Seen:
    """What the last successful round saw; an empty project where there was none."""
    try:
        return Seen(**json.loads((store.folder / SEEN_NAME).read_bytes()))
    except (OSError, TypeError, ValueError):
        return Seen()  # also where the note is damaged: that costs one round, which writes it anew


def record_round(
    workspace: Workspace,
    project_id: int,
    *,
    trigger: str,
    observer: Observer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: uuid4().hex[:12],
    **options: Any,
) -> Report:
    """``run_round``, remembered: a line in the project's log, and what it saw where it trained.

    All log records made meanwhile carry the project, the round's id and the model version, see `logs`.

    Args:
        workspace: what rounds share.
        project_id: the project in Label Studio.
        trigger: why it runs: ``labels``, ``time``, ``asked``, ``sync``.
        observer: watches the steps.
        now: the clock.
        new_id: names the round, in `rounds.jsonl` and in logs.
        options: as for ``run_round``.

    Raises:
        ActiveLearningError: as ``run_round``.
    """
    started, round_id = now(), new_id()
    facts = {"round": round_id, "started": started.isoformat(), "trigger": trigger}
    dry_run = bool(options.get("dry_run"))  # it writes nothing at all

    def find_store() -> ProjectStore | None:
        return None if dry_run else open_project(workspace.root, project_id)

    steps = LiveProgress(_Logged(observer or Silent()), find_store, facts)
    with in_round(project_id, round_id):
        log.info("round started: %s", trigger)
        try:
            seen = look(workspace.client, project_id)
            report = run_round(workspace, project_id, observer=steps, **options)
        except BaseException as exc:
            ours = isinstance(exc, ActiveLearningError)
            error = str(exc) if ours else f"{UNFORESEEN} {type(exc).__name__}"
            log.error("round failed; the old order stands: %s", error, exc_info=None if ours else exc)
            _remember(workspace.root, workspace.stores, project_id, _line(facts, now(), steps.done, error=error))
            raise
        finally:
            steps.end()
        if not dry_run:
            taken_in = seen if options.get("train", True) else None
            _remember(workspace.root, workspace.stores, project_id, _line(facts, now(), steps.done, report), taken_in)
        queue = report.queue.name if report.published and report.queue else "unchanged"
        log.info("round done in %.1f s: order %s, %d warnings", report.seconds, queue, len(report.warnings))
    return report


def record_lost_round(
    stores: StoreRegistry, project_id: int, *, trigger: str, started: datetime, error: ActiveLearningError
) -> None:
    """Remember a round whose process died before it could do so itself."""
    facts = {"round": uuid4().hex[:12], "started": started.isoformat(), "trigger": trigger}
    store = open_project(stores.root, project_id)
    if store is not None:
        clear(store)
    _remember(stores.root, stores, project_id, _line(facts, datetime.now(UTC), (), error=str(error)))


def _remember(
    root: Path, stores: StoreRegistry | None, project_id: int, line: Mapping[str, Any], seen: Seen | None = None
) -> None:
    """Write the note and the line. What a round did stands without them: a failure here is only told."""
    store = open_project(root, project_id)
    if store is None:
        return
    try:
        if stores is None or not stores.is_remote:
            _note(store, line, seen)
            return
        try:
            with stores.get(store.uid).lock(timeout=NOTES_PATIENCE):
                _note(store, line, seen)
        except ActiveLearningError:  # another round, or no remote: the line is shared with the next round from here
            if line["round"] not in {row.get("round") for row in rounds(store)}:
                append(store, line)
    except (OSError, StoreError) as exc:
        log.warning("project %s: the round is not remembered: %s", project_id, exc)


def _note(store: ProjectStore, line: Mapping[str, Any], seen: Seen | None) -> None:
    if seen is not None:  # before the log: who sees the line may rely on the note
        atomic.write_json(store.folder / SEEN_NAME, asdict(seen))
    append(store, line)


def append(store: ProjectStore, line: Mapping[str, Any], *, keep: int = KEPT_ROUNDS) -> None:
    """Add one round to the project's log; the oldest go.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = store.folder / LOG_NAME
    try:
        append_line(path, json.dumps(line), keep=keep)
    except OSError as exc:  # filelock's Timeout is one too
        raise StoreError(f"Cannot write {path} ({exc}); check MODEL_DIR and the disk.") from exc


def rounds(store: ProjectStore, *, newest: int = KEPT_ROUNDS) -> list[dict[str, Any]]:
    """The project's last rounds, oldest first."""
    found = []
    for line in read_lines(store.folder / LOG_NAME)[-newest:]:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


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
            "instant": report.instant,
            "queue": report.queue.name if report.queue else None,
            "published": report.published,
            "open_tasks": report.open_tasks,
            "accuracy": (report.metrics or {}).get("accuracy"),
            "labels": sum(report.label_counts.values()),
            "agreement": asdict(report.agreement) if report.agreement else None,
            "doubted": None if report.doubted is None else len(report.doubted),
            "warnings": len(report.warnings),
            "messages": report.warnings[:MOST_MESSAGES],
        }
    return line
