"""Tasks → what to train on, what to judge on, what to ask about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from ml_backend.evaluation.agreement import answers, together
from ml_backend.label_sets import pack, unpack
from ml_backend.label_studio.answers import AnswerReader, bulk_action
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Annotation, Task


@dataclass
class TaskPool:
    """A project's tasks by what a round does with them. Labels are texts for sets where the question takes several."""

    training: list[tuple[Task, str]] = field(default_factory=list)
    evaluation: list[tuple[Task, str]] = field(default_factory=list)
    open: list[Task] = field(default_factory=list)
    size: int = 0
    """All tasks."""
    held_out: int = 0
    """Evaluation tasks, labelled or not."""
    skipped: int = 0
    """Open tasks that somebody skipped: not asked again, or the most doubtful would fill every queue."""
    dropped: set[int] = field(default_factory=set)
    """Open tasks that somebody does not want to be asked."""
    foreign_labels: Counter[str] = field(default_factory=Counter)
    """Answers that the labeling config does not list (any more)."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Task id → why an answer to it cannot be read; its other answers count."""
    several: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Task id → answers, of tasks that at least two people answered."""

    newest: datetime | None = None
    """Time of the newest answer, or skip, of any task."""
    multiple: bool = False
    """Whether answers are sets (`label_sets`)."""

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks there are of each kind, by the names that `tally.Tally` has for them."""
        return {
            "labels": len(self.training),
            "evaluation": len(self.evaluation),
            "held_out": self.held_out,
            "open": len(self.open),
            "skipped": self.skipped,
            "tied": len(self.tied),
        }

    def count(self, task: Task, dropped: Collection[int]) -> None:
        """Take in a task, whatever it is asked: open, skipped, dropped or held out. Its label is the caller's."""
        self.size += 1
        times = [annotation.updated_at for annotation in task.annotations]
        self.newest = max([*times, *([self.newest] if self.newest else [])], default=None)
        self.held_out += task.is_evaluation
        if task.is_labeled or task.is_evaluation:
            return
        if task.is_skipped:
            self.skipped += 1
        elif task.id in dropped:
            self.dropped.add(task.id)
        else:
            self.open.append(task)

    @property
    def tied(self) -> list[int]:
        """Tasks that people answered, but without a majority: they neither train nor judge."""
        return [task_id for task_id, given in self.several.items() if together(given, sets=self.multiple) is None]


def divide(tasks: Iterable[Task], question: ChoiceQuestion, dropped: Collection[int] = ()) -> TaskPool:
    """Divide tasks into training, evaluation and open ones.

    A task trains with the label that most of its annotators gave; where they choose several, with those that more than
    half of them chose. Evaluation tasks never train and are never queued.
    Tasks that somebody ``dropped`` are not open to anything, not even the control arm: it would wait for them forever.
    Answers are read by `AnswerReader`.
    """
    pool, unwanted = TaskPool(multiple=question.multiple), frozenset(dropped)
    tasks = list(tasks)
    reader = AnswerReader.of(question, (each for task in tasks for each in task.annotations))
    for task in tasks:
        pool.count(task, unwanted)
        given = answers(_read(task, reader, pool.unreadable))
        if len(given) > 1:
            pool.several[task.id] = given
        label = _listed(together(given, sets=question.multiple), question, pool.foreign_labels)
        if label is not None:
            (pool.evaluation if task.is_evaluation else pool.training).append((task, label))
    return pool


def _listed(label: str | None, question: ChoiceQuestion, foreign: Counter[str]) -> str | None:
    """A label that the question lists; of a set what it lists. None where it lists nothing of it, which is counted."""
    if label is None:
        return None
    chosen = unpack(label)
    known = [each for each in chosen if each in question.labels]
    foreign.update(each for each in chosen if each not in question.labels)
    if len(known) < len(chosen) and not (question.multiple and known):
        return None
    return pack(known, question.labels) if question.multiple else label


def answered_in_bulk(tasks: Iterable[Task]) -> set[int]:
    """Tasks whose every answer was given to many tasks at once (`rounds.bulk`); one person's own answer is enough."""
    found = set()
    for task in tasks:
        given = [bulk_action(each.result) for each in task.annotations if not each.cancelled]
        if given and None not in given:
            found.add(task.id)
    return found


def _read(task: Task, reader: AnswerReader, unreadable: dict[int, str]) -> Iterator[Annotation]:
    """A task's annotations with their labels; why one cannot be read is noted."""
    for annotation in task.annotations:
        answer = reader.read(annotation)
        if answer.problem is not None and not annotation.cancelled:
            unreadable.setdefault(task.id, f"annotation {annotation.id}: {answer.problem}")
        yield replace(annotation, label=answer.label)
