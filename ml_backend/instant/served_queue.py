"""A published queue while people answer it: which tasks are free, and how a task gets to the front.

A task gets to a place by a swap: its score puts it just before the task that has the place, and that one goes to where
the first came from. All other tasks keep their places, so control tasks and pinned tasks come when they would have.

Label Studio does not tell who has which task open. But it gives each person the first task that nobody else has, so
this follows from the answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml_backend.records import Prediction

Person = int | None
"""An annotator's id; None if an answer names nobody."""


@dataclass(frozen=True)
class Swap:
    """Two tasks that change places, with their new scores; Label Studio serves the lowest score first."""

    raised: int
    """The task that comes to the place."""
    to: float
    demoted: int
    """The task that had it."""
    back: float


class ServedQueue:
    """The places of one queue, by the scores that Label Studio has.

    Args:
        predictions: the queue.
        movable: tasks may be moved if one of these picked them (`Prediction.picked_by`); all others keep their places.
    """

    def __init__(self, predictions: Iterable[Prediction], movable: Iterable[str]) -> None:
        kinds = frozenset(movable)
        found = list(predictions)
        self.scores = {item.task_id: item.score for item in found}
        self._movable = {item.task_id for item in found if item.picked_by in kinds}
        self._unwanted: frozenset[int] = frozenset()
        self._closed: set[int] = set()
        self._held: dict[Person, int] = {}

    def close(self, task: int, person: Person) -> None:
        """Note that somebody answered or skipped a task, and has none open until `give`."""
        if task in self.scores:
            self._closed.add(task)
        self._held.pop(person, None)
        self._held = {who: has for who, has in self._held.items() if has != task}

    def give(self, person: Person) -> int | None:
        """Note that Label Studio gives this person the first free task, and return it; None at the end of the queue."""
        task = self.first()
        if task is not None:
            self._held[person] = task
        return task

    def take_over(self, other: ServedQueue) -> None:
        """Take over from the previous queue who has which task open."""
        self._held = dict(other._held)

    def open_task(self, person: Person) -> int | None:
        """The task that this person has open, as far as answers tell."""
        return self._held.get(person)

    def first(self) -> int | None:
        """The first open task that nobody has."""
        gone = self._closed.union(self._held.values())
        free = ((score, task) for task, score in self.scores.items() if task not in gone)
        return min(free, default=(0.0, None))[1]

    def candidates(self) -> set[int]:
        """The tasks that may come to the first place; empty if the task there must not be moved."""
        if self.first() not in self._movable:
            return set()
        return self._movable - self._closed - self._unwanted - set(self._held.values())

    def keep_in_place(self, unwanted: Iterable[int]) -> None:
        """From now on move none of these tasks; tasks that were named before may move again."""
        self._unwanted = frozenset(unwanted)

    def score(self, task: int, score: float) -> None:
        """Note that a task has a new score."""
        self.scores[task] = score

    def apply(self, swap: Swap) -> None:
        """Note that both tasks have their new scores."""
        self.scores[swap.raised], self.scores[swap.demoted] = swap.to, swap.back

    def swap(self, task: int) -> Swap | None:
        """The swap that brings a candidate to the first place; None if it is there, or no score lies between."""
        first = self.first()
        if first is None or task == first:
            return None
        place = self.scores[first]
        before = max((score for score in self.scores.values() if score < place), default=0.0)
        middle = (before + place) / 2
        if not before < middle < place:  # the scores are too close; the next round spaces them anew
            return None
        return Swap(task, middle, first, self.scores[task])
