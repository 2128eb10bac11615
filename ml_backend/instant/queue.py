"""A published queue and the graph of its tasks: which task is to come next, whatever is answered."""

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
"""The strategy whose picks may be moved. It goes by what a label tells about the tasks around; others go by a model,
which only a round trains."""
MOVED: Final = (MOVABLE, INSTANT)
FIRST: Final = ""
"""Stands for the first question where others have the names of their controls."""
NO_OTHERS: Final[Mapping[str, Any]] = {}
WORTH_IT: Final = 1.1
"""How many times as much the label of a task must tell as that of the task whose place it takes. Below, moving it costs
Label Studio more than it brings."""


class InstantQueue:
    """A queue that knows the last answer.

    Args:
        graph: the tasks that were open when the queue was made, and the labelled ones.
        task_ids: the open tasks ``[O]``.
        predictions: the queue.
        worth_it: how many times as much the label of a task must tell as that of the one whose place it takes.
        others: the graphs of questions beside the first, by their controls. Each place of the queue is one question's:
            what its answers would tell decides which task comes there. Where answers are sets, `auto_sets` covers the
            pool at every second place: that goes by no answer, and is left as it is.
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
        """Tasks in places that no answer changes."""
        self._served = ServedQueue(found, MOVED)

    def _covering_of(self, name: str, found: Sequence[Prediction]) -> Iterator[int]:
        """The tasks that one question wants so that the pool is covered: of sets every second one, see `auto_sets`."""
        if self._orders[name].of_sets:
            own = [item for item in found if item.picked_by in MOVED and item.asked_by == name]
            own.sort(key=lambda item: item.score)
            yield from (item.task_id for item, covers in zip(own, covering(len(own)), strict=True) if covers)

    def follow(self, before: InstantQueue) -> None:
        """Take over who has which task open from the queue before."""
        self._served.hold(before._served)

    def leave(self, unwanted: Iterable[int]) -> None:
        """Do not move these tasks from now on; those that were named before may be moved again."""
        self._served.leave(unwanted)

    def score(self, task: int, score: float) -> None:
        """A task has a new score in Label Studio."""
        self._served.score(task, score)

    def give(self, person: Person) -> int | None:
        """The task that Label Studio gives this person now; None at the end of the queue."""
        return self._served.give(person)

    def first(self) -> int | None:
        """The first task that is open and nobody's."""
        return self._served.first()

    def has(self, person: Person) -> int | None:
        """What this person has open, as far as answers tell."""
        return self._served.has(person)

    def apply(self, swap: Swap) -> None:
        """Both tasks of a swap have their new scores."""
        self._served.apply(swap)
        self.trade(swap)

    def trade(self, swap: Swap) -> None:
        """Each place stays what it is for, whichever task comes there."""
        one, other = (self._asked_by.get(task, FIRST) for task in (swap.raised, swap.demoted))
        self._asked_by |= {swap.raised: other, swap.demoted: one}
        if (swap.raised in self._covering) != (swap.demoted in self._covering):
            self._covering ^= {swap.raised, swap.demoted}

    def take_in(
        self, task: int, target: Target | None, person: Person, others: Mapping[str, Target] = NO_OTHERS
    ) -> bool:
        """Learn an answer, a class or a set, or None where the first question has none; whether it is news.

        It is where the task was open until now. ``others``: the other answers, by their questions' controls.
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
        """What brings the right task to the first place; None where it is there already, or may not be changed.

        Args:
            after: a task that is being looked at: the swap is that for the answer which graph and model expect.
        """
        candidates = [self._items[task] for task in self._served.candidates() if task in self._items]
        first, looked_at = self._items.get(self._served.first() or 0), self._items.get(after or 0)
        if first is None or not candidates:
            return None
        known = self._orders.get(self._asked_by.get(int(self._tasks[first]), FIRST))
        if known is None or self._tasks[first] in self._covering:  # None: this question had too few labels
            return None
        order = known if looked_at is None else known.assuming(looked_at)
        among = np.zeros(len(self._tasks), dtype=np.bool_)
        among[candidates] = True
        best, values = int(order.front(1, among)[0]), order.values()
        # Nothing to tell: where all candidates are reached by labels, a search finds none.
        tells_more = values[best] > 0 and values[best] >= self._worth_it * values[first]
        return self._served.swap(int(self._tasks[best])) if tells_more else None
