"""The instant loop of one project: what an answer moves, and how that gets into Label Studio and the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ml_backend.agreement import consensus
from ml_backend.instant import InstantOrder
from ml_backend.instant_file import InstantGraph, read
from ml_backend.instant_round import MOVABLE
from ml_backend.label_config import label_of
from ml_backend.label_studio import LabelStudioClient, task_from_row
from ml_backend.moves import INSTANT, with_moves
from ml_backend.served_queue import Person, ServedQueue, Swap
from ml_backend.shared_folder import MOVES
from ml_backend.store import ProjectStore

RUNNERS_UP: Final = 3
"""Tasks likely to be moved next, whose predictions are looked up before somebody waits for it."""


@dataclass(frozen=True)
class Answer:
    """What somebody answered."""

    task: int
    label: str | None
    """None where the task was skipped."""
    person: Person


class InstantProject:
    """One queue, its graph, and what was answered since it was made. Not safe to share between threads.

    Args:
        store: the project's.
        found: what the round left, of the queue that is served.
    """

    def __init__(self, store: ProjectStore, found: InstantGraph) -> None:
        self.queue = found.queue
        self.answers = 0
        """Taken in so far."""
        self.moved = 0
        """Tasks moved to the front so far."""
        self.moved_late = 0
        """Of them, those moved only once the answer was there."""
        self._store = store
        self._since = found.newest
        self._question = found.question
        self._targets = {label: target for target, label in enumerate(found.question.labels)}
        self._tasks = found.task_ids
        self._items = {task: item for item, task in enumerate(found.task_ids.tolist())}
        self._order = InstantOrder(found.graph)
        self._served = ServedQueue(store.queue(found.queue).predictions, (MOVABLE, INSTANT))
        self._half_done: list[Swap] = []
        """Swaps of which the second task is still to be moved."""
        self._predictions: dict[int, int] = {}
        """Task → the id of its prediction."""

    def follow(self, before: InstantProject) -> None:
        """Take over who has which task open from the queue before."""
        self._served.hold(before._served)

    def catch_up(self, client: LabelStudioClient) -> bool:
        """Read what was answered since the round, or the last call, and no webhook told here; whether anything was.

        Raises:
            LabelStudioError: Label Studio failed.
        """
        told = False
        for page in client.changed_tasks(int(self._store.uid.split(".")[0]), self._since):
            for row in page:
                self._since = max(self._since, row["updated_at"])
                told |= self._read(row)
        return told

    def _read(self, row: Mapping[str, Any]) -> bool:
        task = task_from_row(row)
        if not task.annotations:
            return False
        labelled = [replace(each, label=label_of(each.result, self._question)) for each in task.annotations]
        return self.take_in(Answer(task.id, consensus(labelled), task.annotations[-1].annotator))

    def heard(self, annotation: Mapping[str, Any]) -> Answer | None:
        """The answer in an event's annotation; None where it is malformed."""
        try:
            task, person = int(annotation["task"]), annotation.get("completed_by")
            skipped = bool(annotation.get("was_cancelled"))
            label = None if skipped else label_of(annotation["result"], self._question)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        whole = skipped or label is not None
        return Answer(task, label, person if isinstance(person, int) else None) if whole else None

    def take_in(self, answer: Answer) -> bool:
        """Learn one answer; whether it told anything. One about a task that is not open, or of no label, does not."""
        item = self._items.get(answer.task)
        if item is None or (answer.label is not None and answer.label not in self._targets):
            return False
        del self._items[answer.task]
        self._served.close(answer.task, answer.person)
        if answer.label is None:
            self._order.skip(item)
        else:
            self._order.answer(item, self._targets[answer.label])
        self.answers += 1
        return True

    def serve(self, person: Person, client: LabelStudioClient) -> None:
        """See to it that the task that this person gets now knows all answers.

        Raises:
            LabelStudioError: Label Studio failed; the order is as it was.
        """
        self.moved_late += self._move(self._order, client)
        self._served.give(person)

    def prepare(self, person: Person, client: LabelStudioClient) -> None:
        """Move the task that comes next if this person answers as is expected, and finish what is half done.

        Mostly they do, or the answer makes no difference: then nothing has to be moved while they wait.

        Raises:
            LabelStudioError: Label Studio failed. StoreError: the moves could not be noted.
        """
        self._finish(client)
        item = self._items.get(self._served.has(person) or 0)
        order = self._order if item is None else self._order.assuming(item)
        self._move(order, client)
        self._finish(client)
        for task in self._front(order, RUNNERS_UP):
            self._prediction(task, client)

    def _move(self, order: InstantOrder, client: LabelStudioClient) -> bool:
        """Bring the most telling task to the first place; whether it was not there."""
        front = self._front(order, 1)
        swap = self._served.swap(front[0]) if front else None
        if swap is None:
            return False
        client.score_prediction(self._prediction(swap.raised, client), swap.to)
        self._served.scores[swap.raised] = swap.to
        self._half_done.append(swap)
        self.moved += 1
        return True

    def _finish(self, client: LabelStudioClient) -> None:
        """Put the tasks that others were moved before to where those came from, and note both."""
        while self._half_done:
            swap = self._half_done[0]
            client.score_prediction(self._prediction(swap.demoted, client), swap.back)
            self._served.scores[swap.demoted] = swap.back
            del self._half_done[0]
            self._note(swap)

    def _note(self, swap: Swap) -> None:
        scores = {swap.raised: swap.to, swap.demoted: swap.back}
        self._store.edit_document(MOVES, lambda content: with_moves(content, self.queue, scores, swap.raised))

    def _front(self, order: InstantOrder, count: int) -> list[int]:
        """The tasks of the queue that may come next, most telling first."""
        among = np.zeros(len(self._tasks), dtype=np.bool_)
        among[[self._items[task] for task in self._served.candidates() if task in self._items]] = True
        return [int(self._tasks[item]) for item in order.front(min(count, int(among.sum())), among)]

    def _prediction(self, task: int, client: LabelStudioClient) -> int:
        if task not in self._predictions:
            self._predictions[task] = client.prediction_id(task, self.queue)
        return self._predictions[task]


def open_instant(store: ProjectStore) -> InstantProject | None:
    """The instant loop of the queue that is served now; None where its round left nothing for it.

    Raises:
        StoreError: something stored is damaged.
    """
    found = read(store.folder)
    if found is None or found.queue != store.current().queue:
        return None
    return InstantProject(store, found)
