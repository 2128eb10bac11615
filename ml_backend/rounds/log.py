"""What is kept of rounds: what each one did, one JSON line apiece, and what the last one saw of Label Studio.

::

    <store>/rounds.jsonl       the last 1,000 rounds, failed ones included
    <store>/last_round.json    counts and newest change at the start of the last successful round

By the second file anybody can tell with two cheap reads whether a project changed since its last round, whoever ran it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_backend.errors import BUSY, ActiveLearningError, StoreError
from ml_backend.files import atomic
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.foreign import foreign_state
from ml_backend.label_studio.present import Present, read_present
from ml_backend.store.documents import LOG_NAME
from ml_backend.store.project_store import ProjectStore, open_project
from ml_backend.store.registry import StoreRegistry
from ml_backend.store.round_lines import KEPT_ROUNDS, append_line, read_lines

log = logging.getLogger(__name__)
SEEN_NAME = "last_round.json"
NOTES_PATIENCE = 10.0
"""Seconds to wait for the project's lock where the notes are shared; the next round has begun if it is held."""


@dataclass(frozen=True)
class Seen:
    """What two cheap reads tell about a project."""

    tasks: int = 0
    annotations: int = 0
    newest: str = ""
    """Newest change of any task; empty where there is none."""
    predictions: str = ""
    """Versions, counts and times of other models' predictions, where the project is ordered by them."""
    answers: str = field(default="", compare=False)
    """Newest answer that the round read; empty where there is none, and in notes of older releases. Of tasks that are
    imported with their answers it is newer than their change."""


def look(client: LabelStudioClient, project_id: int, *, predictions: bool = False) -> Seen:
    """The project as it is now; with ``predictions``, also what other models predicted, which is a third read."""
    seen = seen_in(read_present(client, project_id))
    return replace(seen, predictions=foreign_state(client, project_id)) if predictions else seen


def seen_in(present: Present) -> Seen:
    """What to remember of a project as it was at one moment."""
    return Seen(present.project.task_count, present.project.annotation_count, present.newest)


def last_seen(store: ProjectStore) -> Seen:
    """What the last successful round saw; an empty project where there was none."""
    try:
        return Seen(**json.loads((store.folder / SEEN_NAME).read_bytes()))
    except (OSError, TypeError, ValueError):
        return Seen()  # also where the note is damaged: that costs one round, which writes it anew


def remember(
    root: Path,
    stores: StoreRegistry | None,
    project_id: int,
    line: Mapping[str, Any],
    seen: Seen | None = None,
    *,
    patience: float = NOTES_PATIENCE,
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
            with stores.get(store.uid).lock(timeout=patience):
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
    found: list[dict[str, Any]] = []
    for text in reversed(read_lines(store.folder / LOG_NAME)):
        if len(found) == newest:
            break
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if not str(line.get("error") or "").startswith(BUSY):  # older releases logged attempts that were refused
            found.append(line)
    return found[::-1]
