"""What was moved in a queue after its publication, kept in a document of its own so that all readers see one order.

::

    {"paused_until": seconds since 1970,
     "queues": {"<name>": {"scores": {"<task>": score, ...}, "raised": [task, ...]}, ...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ml_backend.records import Queue

INSTANT: Final = "instant"
"""``picked_by`` of a task that was moved to the front between two rounds."""
KEPT: Final = 8
"""Queues whose reorderings are kept, because an answer may come from a page that was opened some queues ago."""


def reordered(queue: Queue, document: Mapping[str, Any]) -> Queue:
    """A queue as it is served, including what was moved in it. If the document is damaged, the queue as published."""
    try:
        entry = document["queues"][queue.name]
        scores = {int(task): float(score) for task, score in entry["scores"].items()}
        raised = set(map(int, entry["raised"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return queue
    rows = [
        replace(
            row,
            score=scores.get(row.task_id, row.score),
            picked_by=INSTANT if row.task_id in raised else row.picked_by,
        )
        for row in queue.predictions
    ]
    return replace(queue, predictions=tuple(sorted(rows, key=lambda row: row.score)))


def with_reordering(
    document: Mapping[str, Any], queue: str, scores: Mapping[int, float], raised: int | None
) -> dict[str, Any]:
    """The document with new scores for some tasks, one of which was raised. The oldest queues are dropped."""
    kept = document.get("queues")
    queues: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
    entry = queues.pop(queue, None) or {"scores": {}, "raised": []}
    raised_so_far = list(entry["raised"])
    if raised is not None and raised not in raised_so_far:
        raised_so_far.append(raised)
    queues[queue] = {
        "scores": entry["scores"] | {str(task): score for task, score in scores.items()},
        "raised": raised_so_far,
    }
    return {**document, "queues": dict(list(queues.items())[-KEPT:])}


def paused(document: Mapping[str, Any], until: float) -> dict[str, Any]:
    """The document with a pause: nothing is to be moved until this time (seconds since 1970)."""
    return {**document, "paused_until": until}


def is_paused(document: Mapping[str, Any], now: float) -> bool:
    """Whether nothing may be moved at present, because somebody is comparing the order with the stored one."""
    until = document.get("paused_until")
    return isinstance(until, int | float) and now < until
