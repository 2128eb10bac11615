"""Rounds with a memory: what each one did, one JSON line apiece, and what the last one saw of Label Studio.

::

    <store>/rounds.jsonl       the last 1,000 rounds, failed ones included
    <store>/last_round.json    counts and newest change at the start of the last successful round

By the second file anybody can tell with two cheap reads whether a project changed since its last round, whoever ran it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from ml_backend.errors import ActiveLearningError, StoreError
from ml_backend.label_studio import LabelStudioClient
from ml_backend.loop import run_round
from ml_backend.report import Observer, Report, Silent, StepTime
from ml_backend.store import ProjectStore, open_project
from ml_backend.workspace import Workspace

log = logging.getLogger(__name__)
KEPT_ROUNDS = 1000
LOG_NAME = "rounds.jsonl"
SEEN_NAME = "last_round.json"
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
    **options: Any,
) -> Report:
    """``run_round``, remembered: a line in the project's log, and what it saw where it trained.

    Args:
        workspace: what rounds share.
        project_id: the project in Label Studio.
        trigger: why it runs: ``labels``, ``time``, ``asked``, ``sync``.
        observer: watches the steps.
        now: the clock.
        options: as for ``run_round``.

    Raises:
        ActiveLearningError: as ``run_round``.
    """
    steps = _Steps(observer or Silent())
    started = now()
    try:
        seen = look(workspace.client, project_id)
        report = run_round(workspace, project_id, observer=steps, **options)
    except BaseException as exc:
        error = str(exc) if isinstance(exc, ActiveLearningError) else f"{UNFORESEEN} {type(exc).__name__}"
        _remember(workspace.root, project_id, _line(started, now(), trigger, steps.done, error=error))
        raise
    if not options.get("dry_run"):
        taken_in = seen if options.get("train", True) else None
        _remember(workspace.root, project_id, _line(started, now(), trigger, steps.done, report), taken_in)
    return report


def _remember(root: Path, project_id: int, line: Mapping[str, Any], seen: Seen | None = None) -> None:
    """Write the note and the line. What a round did stands without them: a failure here is only told."""
    store = open_project(root, project_id)
    if store is None:
        return
    try:
        if seen is not None:  # before the log: who sees the line may rely on the note
            _write(store.folder / SEEN_NAME, json.dumps(asdict(seen)))
        append(store, line)
    except (OSError, StoreError) as exc:
        log.warning("project %s: the round is not remembered: %s", project_id, exc)


def append(store: ProjectStore, line: Mapping[str, Any], *, keep: int = KEPT_ROUNDS) -> None:
    """Add one round to the project's log; the oldest go.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = store.folder / LOG_NAME
    try:
        with FileLock(f"{path}.lock", timeout=30):
            _write(path, "".join(f"{row}\n" for row in [*_lines(path), json.dumps(line)][-keep:]))
    except OSError as exc:  # filelock's Timeout is one too
        raise StoreError(f"Cannot write {path} ({exc}); check MODEL_DIR and the disk.") from exc


def rounds(store: ProjectStore, *, newest: int = KEPT_ROUNDS) -> list[dict[str, Any]]:
    """The project's last rounds, oldest first."""
    found = []
    for line in _lines(store.folder / LOG_NAME)[-newest:]:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def known_stores(root: Path) -> dict[int, ProjectStore]:
    """The newest store of every project that this installation knows, by the project's id."""
    ids = {path.name.removeprefix("project-").split(".")[0] for path in root.glob("project-*.*") if path.is_dir()}
    found = {int(number): open_project(root, int(number)) for number in ids if number.isdecimal()}
    return {project_id: store for project_id, store in sorted(found.items()) if store is not None}


class _Steps:
    """Passes everything on, and keeps the finished steps: a round that fails has no report."""

    def __init__(self, observer: Observer) -> None:
        self.done: list[StepTime] = []
        self._observer = observer

    def step_started(self, name: str) -> None:
        self._observer.step_started(name)

    def progress(self, name: str, done: int, total: int) -> None:
        self._observer.progress(name, done, total)

    def step_finished(self, step: StepTime) -> None:
        self.done.append(step)
        self._observer.step_finished(step)


def _line(
    started: datetime,
    ended: datetime,
    trigger: str,
    steps: Iterable[StepTime],
    report: Report | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "started": started.isoformat(),
        "ended": ended.isoformat(),
        "trigger": trigger,
        "steps": [{"name": step.name, "seconds": round(step.seconds, 4)} for step in steps],
        "error": error,
    }
    if report is not None:
        line |= {
            "version": report.version,
            "trained": report.trained,
            "queue": report.queue.name if report.queue else None,
            "accuracy": (report.metrics or {}).get("accuracy"),
            "labels": sum(report.label_counts.values()),
            "agreement": asdict(report.agreement) if report.agreement else None,
            "doubted": None if report.doubted is None else len(report.doubted),
            "warnings": len(report.warnings),
        }
    return line


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, text: str) -> None:
    """Replace the file in one rename. The caller is the only writer of this path at this moment."""
    staged = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)
