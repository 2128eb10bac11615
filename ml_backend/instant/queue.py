"""A published queue and the graph of its tasks: which task should come next after each answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.instant.order import InstantOrder
from ml_backend.instant.served_queue import Person, ServedQueue, Swap
from ml_backend.records import Prediction
from ml_backend.semi_supervised.graph import Neighbourhood
from ml_backend.store.queue_reorderings import INSTANT
from ml_backend.strategies.answers import Target
from ml_backend.strategies.auto_sets import covering

MOVABLE: Final = "auto"
"""The strategy whose picks may be moved. It goes by what a label tells about similar tasks; the others go by a model,
which only a round trains."""
MOVED: Final = (MOVABLE, INSTANT)
FIRST: Final = ""
"""Stands for the first question, where the others are known by the names of their controls."""
NO_OTHERS: Final[Mapping[str, Any]] = {}
WORTH_IT: Final = 1.1
"""A task is moved only if its label would tell this many times as much as that of the task whose place it takes;
otherwise moving it costs Label Studio more than it brings."""


class InstantQueue:
    """A queue that takes each answer into account.

    Args:
        graph: the tasks that were open when the queue was made, and the labelled ones.
        task_ids: the open tasks ``[O]``.
        predictions: the queue.
        worth_it: see `WORTH_IT`.
        others: the graphs of questions beside the first, by their controls. Each place of the queue belongs to one
            question, and goes to the task whose answer to that question would tell most. Where answers are sets,
            `auto_sets` uses every second place to cover the pool: no answer changes these.
    """

    def __init__(
        self,
        graph: Neighbourhood,
        task_ids: NDArray[np.int64],
        predictions: Iterable[Prediction],
        *,
        worth_it: float = WORTH_IT,
        others: Mapping[str, Neighbourhood] = NO_OTHERS,
    ) -> None:
        found = list(predictions)
        self._worth_it = worth_it
        self._tasks = task_ids
        self._items = {task: item for item, task in enumerate(task_ids.tolist())}
        self._orders = {FIRST: InstantOrder(graph)} | {name: InstantOrder(each) for name, each in others.items()}
        self._asked_by = {item.task_id: item.asked_by for item in found}
        self._covering = {task for name in self._orders for task in self._covering_of(name, found)}
        """Tasks in places that serve to cover the pool, which no answer changes."""
        self._served = ServedQueue(found, MOVED)

    def _covering_of(self, name: str, found: Sequence[Prediction]) -> Iterator[int]:
        """The tasks by which one question covers the pool: where answers are sets, every second one (`auto_sets`)."""
        if self._orders[name].of_sets:
            own = [item for item in found if item.picked_by in MOVED and item.asked_by == name]
            own.sort(key=lambda item: item.score)
            yield from (item.task_id for item, covers in zip(own, covering(len(own)), strict=True) if covers)

    def take_over(self, before: InstantQueue) -> None:
        """Take over from the previous queue who has which task open."""
        self._served.take_over(before._served)

    def keep_in_place(self, unwanted: Iterable[int]) -> None:
        """From now on move none of these tasks; tasks that were named before may move again."""
        self._served.keep_in_place(unwanted)

    def score(self, task: int, score: float) -> None:
        """Note that a task has a new score in Label Studio."""
        self._served.score(task, score)

    def give(self, person: Person) -> int | None:
        """Note that Label Studio gives this person the first free task, and return it; None at the end of the queue."""
        return self._served.give(person)

    def first(self) -> int | None:
        """The first open task that nobody has."""
        return self._served.first()

    def open_task(self, person: Person) -> int | None:
        """The task that this person has open, as far as answers tell."""
        return self._served.open_task(person)

    def apply(self, swap: Swap) -> None:
        """Note that both tasks of a swap have their new scores."""
        self._served.apply(swap)
        self.swap_purposes(swap)

    def swap_purposes(self, swap: Swap) -> None:
        """Let each place keep its question and its purpose, whichever task is in it after the swap."""
        one, other = (self._asked_by.get(task, FIRST) for task in (swap.raised, swap.demoted))
        self._asked_by |= {swap.raised: other, swap.demoted: one}
        if (swap.raised in self._covering) != (swap.demoted in self._covering):
            self._covering ^= {swap.raised, swap.demoted}

    def take_in(
        self, task: int, target: Target | None, person: Person, others: Mapping[str, Target] = NO_OTHERS
    ) -> bool:
        """Learn the answers to a task; returns whether the task was still open, so that they are new.

        Args:
            task: what was answered.
            target: the answer to the first question, a class or a set; None if it has none.
            person: who answered.
            others: the answers to the other questions, by their controls.
        """
        item = self._items.pop(task, None)
        if item is None:
            return False
        self._served.close(task, person)
        for name, order in self._orders.items():
            answered = target if name == FIRST else others.get(name)
            if answered is None:
                order.skip(item)
            else:
                order.answer(item, answered)
        return True

    def swap(self, after: int | None = None) -> Swap | None:
        """The swap that brings the right task to the first place; None if it is there, or that place must not change.

        Args:
            after: a task that somebody has open: the swap then assumes the answer that graph and model expect for it.
        """
        candidates = [self._items[task] for task in self._served.candidates() if task in self._items]
        first, looked_at = self._items.get(self._served.first() or 0), self._items.get(after or 0)
        if first is None or not candidates:
            return None
        known = self._orders.get(self._asked_by.get(int(self._tasks[first]), FIRST))
        if known is None or self._tasks[first] in self._covering:  # this question had too few labels for a graph
            return None
        order = known if looked_at is None else known.assuming(looked_at)
        among = np.zeros(len(self._tasks), dtype=np.bool_)
        among[candidates] = True
        best, values = int(order.front(1, among)[0]), order.values()
        # Values of 0: the labels reach all candidates already, and none of them would tell anything.
        tells_more = values[best] > 0 and values[best] >= self._worth_it * values[first]
        return self._served.swap(int(self._tasks[best])) if tells_more else None
