"""Exported tasks as Label Studio gives them, and a store whose queues asked for them."""

from __future__ import annotations

from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import CONTROL, PINNED, Prediction, Queue
from ml_backend.store.documents import MOVES
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.queue_reorderings import with_reordering

QUESTION = ChoiceQuestion("choice", "item", "Text", "text", ("a", "b"))
VERSION = "m-0001-aaaaaaaa"
FIRST, SECOND = f"{VERSION}.auto-0001", f"{VERSION}.auto-0002"
PICKED = {1: "auto", 2: CONTROL, 3: PINNED, 4: "entropy", 5: "auto", 6: "random"}
"""Task → what put it into both queues, in the order of the first one."""


def result(label, score=None):
    part = {"from_name": "choice", "to_name": "item", "type": "choices", "value": {"choices": [label]}}
    return [part if score is None else part | {"score": score}]


def annotation(number, label="a", *, queue=FIRST, guess="a", published="08:00:00", at="09:00:00", **more):
    """One given at a time of one day, under a queue that was published then."""
    snapshot = {}
    if queue:
        shown = result(guess, 0.7) if guess else []
        snapshot = {"model_version": queue, "created_at": f"2026-01-01T{published}Z", "result": shown}
    return {
        "id": number,
        "completed_by": 1,
        "updated_by": 1,
        "created_at": f"2026-01-01T{at}Z",
        "updated_at": f"2026-01-01T{at}.300000Z",
        "lead_time": 4.5,
        "was_cancelled": label is None,
        "ground_truth": False,
        "result": result(label) if label else [],
        "prediction": snapshot,
        "import_id": None,
    } | more


def task(number, *annotations, **data):
    return {"id": number, "data": {"text": f" text {number}\r\n"} | data, "meta": {}, "annotations": list(annotations)}


def queue_of(name, picked, *, prelabel=True):
    picks = [Prediction(task_id, "a", 0.7, place / 100, by) for place, (task_id, by) in enumerate(picked.items(), 1)]
    return Queue(name, VERSION, "auto", 1, 0, tuple(picks), prelabel)


def store_with_queues(root):
    """Two queues: the second has the tasks in the opposite order. In the first, task 5 was moved before task 2."""
    store = ProjectStore(root, "1.1")
    store.write_queue(queue_of(FIRST, PICKED))
    moved = with_reordering({}, FIRST, {5: 0.015}, 5)
    store.edit_document(MOVES, lambda content: {**content, **moved})
    store.write_queue(queue_of(SECOND, dict(reversed(PICKED.items()))))
    store.set_current(Current(VERSION, SECOND))
    return store
