"""Tasks by what is done with them, where no answer is read: answered, open, left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from ml_backend.records import Annotation, Task
from ml_backend.rounds.examples import TaskPool

UNREAD: Final = ""
"""Stands for the label of a task that is answered."""


def newest_answer(task: Task) -> Annotation | None:
    """The newest annotation that is no skip; None where there is none."""
    given = [annotation for annotation in task.annotations if not annotation.cancelled]
    return max(given, key=lambda annotation: (annotation.updated_at, annotation.id), default=None)


def divide_answered(tasks: Iterable[Task], dropped: Collection[int] = ()) -> TaskPool:
    """Divide tasks, whatever they are asked. A task is answered once somebody submitted it; its label is `UNREAD`.

    What is open, skipped or dropped is as in `examples.divide`.
    """
    pool, unwanted = TaskPool(), frozenset(dropped)
    for task in tasks:
        pool.count(task, unwanted)
        if newest_answer(task) is not None:
            (pool.evaluation if task.is_evaluation else pool.training).append((task, UNREAD))
    return pool
