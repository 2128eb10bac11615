"""The present queue as plain rows: what comes next, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ml_backend.dashboard.reading.common import question_of, shown_items
from ml_backend.dashboard.reading.pool import EVERYTHING, Filter, facts_of
from ml_backend.errors import AcquisitionError
from ml_backend.label_sets import shown as shown_label
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.records import CONTROL, PINNED, Prediction, Queue
from ml_backend.rounds.measures import numbers
from ml_backend.rounds.tally import state_of
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides
from ml_backend.store.queue_overrides import read as read_overrides
from ml_backend.strategies.mixture import parse_strategy
from ml_backend.strategies.registry import STRATEGIES

PAGE: Final = 25
"""Tasks shown at once."""
STATES: Final = {"queued": "waiting", "answered": "answered", "skipped": "skipped", "dropped": "dropped"}
"""State of a queued task, by its word in `pool.STATES`."""
MOST: Final = 500
"""Tasks that one request may ask for."""


def read(store: ProjectStore, start: int = 0, count: int = PAGE, wanted: Filter = EVERYTHING) -> dict[str, Any]:
    """``rows`` of the queue from ``start`` on (0 is asked first), at most ``count``, and all overrides.

    The rows are those that are ``wanted``: ``found`` out of ``total``.

    A row has ``place``, ``task_id``, ``score`` as in Label Studio (lowest first), ``guess``, ``confidence``, ``why``
    (the strategy, ``control`` or ``pinned``), ``reason`` in words, ``state`` (``waiting``, ``answered``, ``skipped`` or
    ``gone``), ``wish`` (``first``, ``dropped`` or null), ``regions`` of another model that are shown, and ``item``,
    what people are shown. Guesses for control tasks are hidden. ``parts`` are what the queue consists of: ``name``,
    ``share``, ``tasks`` and ``asks``, what it asks first. ``numbers`` are those of `rounds.measures.numbers`.
    """
    current, overrides = store.current(), read_overrides(store)
    queue = store.queue(current.queue) if current.queue else None
    picked = queue.predictions if queue else ()
    found = list(_wanted(store, picked, wanted))
    start = max(0, min(start, (len(found) - 1) // count * count)) if found else 0
    shown = found[start : start + max(1, min(count, MOST))]
    queued = {item.task_id for item in picked}
    ahead = [task for task in overrides.front if task not in queued]
    listed = [*ahead[:PAGE], *overrides.dropped[-PAGE:]]
    items = shown_items(store, [*(item.task_id for _, item in shown), *listed])
    states = _states(store, [item.task_id for _, item in shown])
    return {
        "queue": current.queue,
        "version": current.version,
        "strategy": queue.strategy if queue else None,
        "parts": _parts(queue),
        "numbers": numbers(store),
        "total": len(picked),
        "found": len(found),
        "labels": list(question_of(store).labels),
        "asked": wanted.asked,
        "start": start,
        "count": count,
        "control": sum(item.picked_by == CONTROL for item in picked),
        "pinned": sum(item.task_id in set(overrides.front) for item in picked),
        "rows": [_row(queue, item, place, overrides, items, states) for place, item in shown if queue],
        "ahead": [{"task_id": task, "item": items.get(task)} for task in ahead[:PAGE]],
        "ahead_total": len(ahead),
        "dropped": [{"task_id": task, "item": items.get(task)} for task in overrides.dropped[: -PAGE - 1 : -1]],
        "dropped_total": len(overrides.dropped),
    }


def _wanted(store: ProjectStore, picked: Sequence[Prediction], wanted: Filter) -> Iterator[tuple[int, Prediction]]:
    """Place and task for everything that is looked for."""
    if not wanted.asked:
        yield from enumerate(picked, 1)
        return
    known = {facts.id: facts for facts in facts_of(store)}
    for place, item in enumerate(picked, 1):
        if item.task_id in known and wanted.passes(known[item.task_id]):
            yield place, item


def _row(
    queue: Queue,
    item: Prediction,
    place: int,
    overrides: QueueOverrides,
    items: dict[int, dict[str, Any]],
    states: dict[int, str],
) -> dict[str, Any]:
    is_control = item.picked_by == CONTROL
    wish = "first" if item.task_id in overrides.front else "dropped" if item.task_id in overrides.dropped else None
    return {
        "place": place,
        "task_id": item.task_id,
        "score": None if is_control else round(item.score, 6),
        "guess": None if is_control or item.label is None else shown_label(item.label),
        "confidence": None if is_control or item.label is None else round(item.confidence, 4),
        "why": item.picked_by or queue.strategy,
        "regions": len(item.result) if item.result is not None and not is_control and queue.prelabel else None,
        "reason": item.reason,
        "state": states.get(item.task_id, "gone"),
        "wish": wish,
        "item": items.get(item.task_id),
    }


def _parts(queue: Queue | None) -> list[dict[str, Any]]:
    """The strategies that chose, each with its share of the mixture and its number of tasks."""
    if queue is None:
        return []
    counts = Counter(item.picked_by or queue.strategy for item in queue.predictions)
    try:
        shares = {part.name: part.share for part in parse_strategy(queue.strategy)}
    except AcquisitionError:  # a strategy of another release
        shares = {}
    known = STRATEGIES.usable()
    names = [*shares, *(name for name in counts if name not in (*shares, CONTROL, PINNED))]
    return [
        {"name": name, "share": shares.get(name), "tasks": counts[name], "asks": known[name].when}
        for name in names
        if name in known
    ]


def _states(store: ProjectStore, task_ids: list[int]) -> dict[int, str]:
    """What has become of tasks; if rounds run elsewhere, all are assumed to be waiting."""
    if not store.task_cache_path.exists():
        return dict.fromkeys(task_ids, "waiting")
    found = {}
    for task in TaskCache(store.task_cache_path).find(task_ids):
        found[task.id] = state_of(task)
    return found
