"""Log of what queues asked and people answered: each labelled task with the guess and the reason it was asked for.

Only what Label Studio does not know is kept: the queue that the task came from, its guess, and what picked it. The
label itself is read from Label Studio whenever it is needed, so that correcting a label corrects every measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from ml_backend.errors import StoreError
from ml_backend.records import BULK, Queue
from ml_backend.store.project_store import ProjectStore

DOCUMENT: Final = "answers.json"
QUEUES_BACK: Final = 5
"""How many replaced queues an answer may come from, because people answer tasks in pages that they opened earlier."""


@dataclass(frozen=True)
class QueryLogEntry:
    """One task that a queue asked about before anybody had labelled it."""

    queue: str
    version: str | None
    """The model version that guessed; None before there is a model."""
    picked_by: str
    guess: str | None
    confidence: float
    place: int | None = None
    """Place in the order as it was served, starting with 1; None in entries of older releases."""


IN_BULK: Final = QueryLogEntry("", None, BULK, None, 0.0)
"""Used in place of a queue's entry when a person answered many tasks at once."""


def recorded(store: ProjectStore) -> dict[int, QueryLogEntry]:
    """All answers so far, by task, in the order in which rounds found them."""
    try:
        rows = store.document(DOCUMENT).get("answers", {})
        return {int(task): QueryLogEntry(**row) for task, row in rows.items()}
    except (AttributeError, TypeError, ValueError) as exc:
        raise StoreError(
            f"{store.folder / DOCUMENT} is damaged ({exc}); delete it; the measures then start again."
        ) from exc


def record(store: ProjectStore, labelled: Collection[int], bulk: Collection[int] = ()) -> dict[int, QueryLogEntry]:
    """Note newly labelled tasks that one of the latest queues asked about. Returns all answers.

    A task that no queue asked about (for example one imported with its label) is not noted, since a queue holds only
    open tasks.

    Args:
        store: the project's store.
        labelled: tasks with a label.
        bulk: those of them that were labelled together with many others (`examples.answered_in_bulk`). No queue asked
            for these answers, even if it contained the task. They are returned as `BULK`, but not noted, since they can
            be undone.
    """
    before, answers = recorded(store), _asked(store, set(labelled).difference(bulk))
    if len(answers) > len(before):
        store.write_document(DOCUMENT, {"answers": {str(task): asdict(answer) for task, answer in answers.items()}})
    return answers | dict.fromkeys(bulk, IN_BULK)


def looked_up(store: ProjectStore, labelled: Collection[int], bulk: Collection[int] = ()) -> dict[int, QueryLogEntry]:
    """What `record` would return, without noting anything."""
    return _asked(store, set(labelled).difference(bulk)) | dict.fromkeys(bulk, IN_BULK)


def _asked(store: ProjectStore, labelled: Collection[int]) -> dict[int, QueryLogEntry]:
    answers = recorded(store)
    new = [task for task in labelled if task not in answers]
    if not new:
        return answers
    found: dict[int, QueryLogEntry] = {}
    for queue in _last_queues(store):
        for place, prediction in enumerate(queue.predictions, 1):
            if prediction.task_id not in found and prediction.picked_by:
                found[prediction.task_id] = entry(queue, place)
    return answers | {task: found[task] for task in sorted(new) if task in found}


def entry(queue: Queue, place: int) -> QueryLogEntry:
    """The log entry for the task at a place of a queue; the first place is 1."""
    asked = queue.predictions[place - 1]
    return QueryLogEntry(queue.name, queue.version, asked.picked_by, asked.label, asked.confidence, place)


def _last_queues(store: ProjectStore) -> Iterator[Queue]:
    """The served queue, then those before it."""
    current = store.current().queue
    names = store.queues()
    until = names.index(current) + 1 if current in names else len(names)
    for name in reversed(names[max(until - QUEUES_BACK, 0) : until]):
        yield store.queue(name)
