"""How each annotation came about: the queue, what put the task into it, its place, and what people saw.

With each annotation, Label Studio keeps a snapshot of the served prediction, which names the queue and holds the guess
that was on the screen. The store has the queue as it was served, including what was moved in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ml_backend.errors import StoreError
from ml_backend.importing.items import CARRIED as MARK
from ml_backend.instant.queue import MOVABLE
from ml_backend.label_sets import SEPARATOR
from ml_backend.label_studio.answers import bulk_action, label_of
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.queue_names import parse_queue_name
from ml_backend.label_studio.task_rows import parse_time
from ml_backend.records import BULK, CONTROL, PINNED, Task
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.query_log import QUEUES_BACK, QueryLogEntry, entry, looked_up
from ml_backend.store.queue_reorderings import INSTANT

RANDOM: Final = "random"
SAMPLED: Final = "sampled"
EVALUATION: Final = "evaluation"
UNCHANGED: Final = timedelta(seconds=1)
"""Longest time between creation and last change of an unedited annotation (editing also increases ``lead_time``)."""


@dataclass(frozen=True)
class Provenance:
    """How one annotation came about. All fields are None if none of our queues asked for the task."""

    strategy: str | None = None
    """What chose the task: a strategy (for a mixture, its part), ``random`` for control tasks, None for pinned ones."""
    share: str | None = None
    """``control`` or ``random`` (both drawn at random), ``sampled`` (by a strategy), ``instant`` (the same, and moved
    to the front between two rounds), ``pinned`` (by a person), ``bulk`` (a person answered many tasks at once) or
    ``evaluation`` (held out for measuring)."""
    place: int | None = None
    """Place in the order as it was served, starting with 1."""
    queue: str | None = None
    model_version: str | None = None
    """The version that guessed; None before there is a model."""
    guess: str | None = None
    probability: float | None = None
    """The model's probability of ``guess``."""
    guess_shown: bool = False
    """Whether people saw the guess while they answered."""


class AskedUnder:
    """Finds out how annotations came about.

    Args:
        question: the project's question; None if none is learnt: guesses are then another model's regions, not labels.
        task_ids: tasks of the export that have annotations.
        store: the project's store; without it neither places nor shares are known.
    """

    def __init__(self, question: ChoiceQuestion | None, task_ids: Collection[int], store: ProjectStore | None) -> None:
        self._question, self._wanted, self._store = question, frozenset(task_ids), store
        self._names = store.queues() if store else []
        self._log = looked_up(store, self._wanted) if store else {}
        self._queues: dict[str, dict[int, QueryLogEntry] | None] = {}
        self._about: dict[str, tuple[str, bool]] = {}
        """Queue → its strategy, and whether guesses were shown."""

    def of(self, task: Mapping[str, Any], annotation: Mapping[str, Any]) -> Provenance:
        """How one annotation of an exported task came about."""
        snapshot = annotation.get("prediction") or {}
        if carried := carried_of(task, annotation):
            return provenance_from(carried)
        if bulk_action(annotation.get("result")) is not None:
            return Provenance(share=BULK)
        if Task(task["id"], task["data"]).is_evaluation:
            return replace(self._seen(snapshot), share=EVALUATION)
        name = str(snapshot.get("model_version") or "")
        if snapshot and parse_queue_name(name) is None:
            return self._seen(snapshot)
        if not snapshot:
            return self._without_snapshot(task, annotation)
        if _was_open_before(annotation, snapshot):
            earlier = self._before(name, task["id"])
            return self._asked(earlier, None) if earlier else Provenance()
        asked = self._in_queue(name).get(task["id"])
        if asked is not None:
            return self._asked(asked, snapshot)
        return self._named(name, self._seen(snapshot))

    def _without_snapshot(self, task: Mapping[str, Any], annotation: Mapping[str, Any]) -> Provenance:
        """The provenance if the served queue did not contain the task.

        If it is the task's first answer, its page had been open since an earlier queue, which the query log knows.
        Later answers were given without being asked for. Imported ones came with the task, which shows in that Label
        Studio does not know who submitted them.
        """
        given = [each["id"] for each in task["annotations"] if each.get("updated_by")]
        logged = self._log.get(task["id"])
        if logged is None or annotation["id"] != min(given, default=None):
            return Provenance()
        return self._asked(self._in_queue(logged.queue).get(task["id"], logged), None)

    def _named(self, name: str, seen: Provenance) -> Provenance:
        """What the queue's name tells if the store lacks the queue; nothing for a task that the queue did not ask."""
        known = parse_queue_name(name)
        if known is None or self._queues.get(name) is not None:
            return seen
        return replace(seen, strategy=known.strategy, share=RANDOM if known.strategy == RANDOM else None, queue=name)

    def _seen(self, snapshot: Mapping[str, Any]) -> Provenance:
        """What was on the screen."""
        name = snapshot.get("model_version") or None
        known = parse_queue_name(name)
        if self._question is None:
            return Provenance(model_version=known.version if known else name, guess_shown=bool(snapshot.get("result")))
        label = label_of(snapshot.get("result"), self._question) or None  # an empty set is not shown at all
        parts = [part for part in snapshot.get("result") or () if isinstance(part, dict)]
        scores = [part.get("score") for part in parts if part.get("from_name") == self._question.control]
        sure = next((float(score) for score in scores if isinstance(score, int | float)), None)
        version = known.version if known else name
        return Provenance(
            model_version=version, guess=label, probability=sure if label else None, guess_shown=label is not None
        )

    def _asked(self, asked: QueryLogEntry, snapshot: Mapping[str, Any] | None) -> Provenance:
        strategy, prelabel = self._about.get(asked.queue) or (_strategy_in(asked.queue), True)
        shown = prelabel and asked.picked_by != CONTROL
        guess, probability = asked.guess, asked.confidence
        if snapshot is not None:
            seen = self._seen(snapshot)
            shown = seen.guess_shown
            guess, probability = (seen.guess, seen.probability or probability) if shown else (guess, probability)
        picked_by = asked.picked_by or strategy
        chosen_by: dict[str, str | None] = {CONTROL: RANDOM, PINNED: None, INSTANT: MOVABLE}
        special = (CONTROL, PINNED, INSTANT, RANDOM)
        return Provenance(
            strategy=chosen_by.get(picked_by, picked_by),
            share=picked_by if picked_by in special else SAMPLED,
            place=asked.place,
            queue=asked.queue,
            model_version=asked.version,
            guess=guess,
            probability=None if guess is None else round(probability, 6),
            guess_shown=shown and (guess is not None or (self._question is None and snapshot is not None)),
        )

    def _before(self, name: str, task_id: int) -> QueryLogEntry | None:
        """How the last queue before this one asked for a task."""
        until = self._names.index(name) if name in self._names else 0
        for earlier in reversed(self._names[max(until - QUEUES_BACK, 0) : until]):
            if (asked := self._in_queue(earlier).get(task_id)) is not None:
                return asked
        return None

    def _in_queue(self, name: str) -> Mapping[int, QueryLogEntry]:
        """Those tasks of a queue that have annotations; empty if the store does not have the queue."""
        if name not in self._queues:
            self._queues[name] = self._read(name)
        return self._queues[name] or {}

    def _read(self, name: str) -> dict[int, QueryLogEntry] | None:
        if self._store is None or name not in self._names:
            return None
        try:
            queue = self._store.queue(name)
        except StoreError:
            return None
        self._about[name] = queue.strategy, queue.prelabel
        asked = enumerate(queue.predictions, 1)
        return {item.task_id: entry(queue, place) for place, item in asked if item.task_id in self._wanted}


def carried_of(task: Mapping[str, Any], annotation: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an earlier export stored about an annotation that was then imported; empty for other annotations."""
    meta = task.get("meta")
    marks = meta.get(MARK) if isinstance(meta, dict) else None  # Label Studio also accepts lists there
    found = marks.get(str(annotation.get("import_id"))) if isinstance(marks, dict) else None
    return found if isinstance(found, dict) and not annotation.get("prediction") else {}


def provenance_from(found: Mapping[str, Any]) -> Provenance:
    """The provenance that an export stored; unknown fields are ignored."""
    names = {field.name for field in fields(Provenance)}
    known = {name: value for name, value in found.items() if name in names}
    if isinstance(guess := known.get("guess"), list):
        known["guess"] = SEPARATOR.join(map(str, guess))
    return Provenance(**known)


def _strategy_in(queue: str) -> str:
    known = parse_queue_name(queue)
    return known.strategy if known else ""


def _was_open_before(annotation: Mapping[str, Any], snapshot: Mapping[str, Any]) -> bool:
    """Whether the page was opened before the snapshot's queue was published, so that it showed the previous queue.

    The snapshot is taken when the answer arrives. Both times are Label Studio's.
    """
    created, published = _time(annotation.get("created_at")), _time(snapshot.get("created_at"))
    changed = _time(annotation.get("updated_at"))
    if created is None or published is None or changed is None or changed - created > UNCHANGED:
        return False
    return created - timedelta(seconds=float(annotation.get("lead_time") or 0)) < published


def _time(text: Any) -> datetime | None:
    return parse_time(text) if isinstance(text, str) and text else None
