"""A published queue and the graph of its tasks: which task is to come next, whatever is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.graph import Neighbourhood
from ml_backend.instant import InstantOrder
from ml_backend.moves import INSTANT
from ml_backend.records import Prediction
from ml_backend.served_queue import Person, ServedQueue, Swap

MOVABLE: Final = "auto"
"""The strategy whose picks may be moved. It goes by what a label tells about the tasks around; others go by a model,
which only a round trains."""


class InstantQueue:
    """A queue that knows the last answer.

    Args:
        graph: the tasks that were open when the queue was made, and the labelled ones.
        task_ids: the open tasks ``[O]``.
        predictions: the queue.
    """

    def __init__(self, graph: Neighbourhood, task_ids: NDArray[np.int64], predictions: Iterable[Prediction]) -> None:
        self._tasks = task_ids
        self._items = {task: item for item, task in enumerate(task_ids.tolist())}
        self._order = InstantOrder(graph)
        self.served = ServedQueue(predictions, (MOVABLE, INSTANT))

    def take_in(self, task: int, target: int | None, person: Person) -> bool:
        """Learn an answer, a class or None for a skipped task; whether it is news: the task was open until now."""
        item = self._items.pop(task, None)
        if item is None:
            return False
        self.served.close(task, person)
        if target is None:
            self._order.skip(item)
        else:
            self._order.answer(item, target)
        return True

    def swap(self, after: int | None = None) -> Swap | None:
        """What brings the right task to the first place; None where it is there already, or may not be changed.

        Args:
            after: a task that is being looked at: the swap is that for the answer which graph and model expect.
        """
        front = self.front(1, after)
        return self.served.swap(front[0]) if front else None

    def front(self, count: int, after: int | None = None) -> list[int]:
        """The tasks that may come to the first place, most telling first."""
        item = None if after is None else self._items.get(after)
        order = self._order if item is None else self._order.assuming(item)
        among = np.zeros(len(self._tasks), dtype=np.bool_)
        among[[self._items[task] for task in self.served.candidates() if task in self._items]] = True
        return [int(self._tasks[item]) for item in order.front(min(count, int(among.sum())), among)]
