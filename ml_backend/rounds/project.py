"""One project as a round sees it, and the reading of what its tasks hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.label_sets import unpack
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.models.base import LabeledItems, Model
from ml_backend.models.reading import ItemReader, reader_of
from ml_backend.models.several import new_model, target_rows
from ml_backend.records import Progress, Project, Task, no_progress
from ml_backend.rounds.examples import TaskPool
from ml_backend.rounds.item_reading import Examples, read_items
from ml_backend.rounds.report import Recorder, Report
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.store.heads import Head
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides


@dataclass(frozen=True)
class RoundProject:
    """One project as a round sees it."""

    now: Project
    store: ProjectStore
    question: ChoiceQuestion
    settings: ProjectSettings
    pool: TaskPool
    media: MediaReader
    model: type[Model]
    overrides: QueueOverrides = field(default_factory=QueueOverrides)
    items: dict[int, Any] = field(default_factory=dict)
    """Task id → item, of what this round has read so far."""
    others: tuple[tuple[ChoiceQuestion, TaskPool], ...] = ()
    """The questions that are learnt beside the first, each with the tasks divided by their answers to it."""
    vector_length: int = 0
    """How many numbers each item has, if the numbers come with the tasks; otherwise 0."""
    unlabelled: Unlabelled | None = None
    """What was learnt from its tasks without labels; None if nothing was, or not yet."""
    outside: OutsidePool | None = None
    """The pool that it is connected to. Some of its rows are among the open tasks, under numbers that no task has."""
    keys: Mapping[int, int] = field(default_factory=dict)
    """Task id → the number that random draws use instead: for tasks made from a row of a pool outside, the row's."""

    def draw_ids(self, task_ids: Sequence[int] | Ids) -> Ids:
        """The numbers of some tasks ``[N]`` that random draws use."""
        return np.array([self.keys.get(int(task), int(task)) for task in task_ids], dtype=np.int64)

    @cached_property
    def reader(self) -> ItemReader:
        """How the project's model reads the content of tasks."""
        found = reader_of(self.model, self.settings.hyperparameters)
        return replace(found, length=self.vector_length) if self.vector_length else found

    @property
    def read_by(self) -> str:
        """The network that makes the items, if the settings alone do not determine it; otherwise empty.

        Two networks may make vectors of the same length, which must not be mixed.
        """
        return self.reader.name if self.reader.rounded else ""

    def new_model(self) -> Model:
        """An untrained model of the project's question.

        Raises:
            ModelError: the model learns single choices, and the question takes several.
        """
        return new_model(self.model, self.question.labels, multiple=self.question.multiple)

    @property
    def label_counts(self) -> dict[str, int]:
        """How many of the training answers have each label."""
        return dict(Counter(each for _, label in self.pool.training for each in unpack(label)))


class OutsidePool(Protocol):
    """What a round needs from a pool outside Label Studio, of which only the rows that people should see are tasks.

    A row takes part in a round as an open task, under a number that no task has (`pool.row_keys`).
    """

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def spare_cores(self) -> int:
        """How many cores of this machine the round leaves to others, as far as one remains: its pass would take all."""

    def settle(self, now: Project, recorder: Recorder) -> None:
        """Finish what a round that was cut off had announced: its rows become tasks, each once.

        Raises:
            LabelStudioError: they cannot be looked for, or imported.
        """

    def attached(self, project: RoundProject, recorder: Recorder) -> RoundProject:
        """The project with the model that reads the pool's vectors, and the last pass's candidates as open tasks."""

    def searched(
        self, project: RoundProject, model: Model | None, recorder: Recorder, heads: Sequence[Head] = ()
    ) -> RoundProject:
        """The project with the rows that are worth comparing now in place of the earlier ones among its open tasks.

        Args:
            project: as the round read it.
            model: the first question's model; None before there is one.
            recorder: times the search, and takes a warning if the pool cannot be searched.
            heads: those of the questions beside it.
        """

    def sample(self, project: RoundProject, count: int) -> Sequence[Task]:
        """A uniform sample of at most ``count`` rows that are not tasks, the same one from round to round."""

    def fed(
        self, project: RoundProject, chosen: Sequence[int], recorder: Recorder
    ) -> tuple[RoundProject, Mapping[int, int]]:
        """Turn the rows among the chosen into tasks; returns the project with them, and row number → task id.

        Raises:
            LabelStudioError: Label Studio did not accept them; they are announced, and a later round makes them tasks.
        """

    def concluded(self, project: RoundProject, recorder: Recorder) -> None:
        """Do what nobody waits for, once the new order stands; an error here fails no round."""


def read_tasks(
    tasks: Sequence[Task], project: RoundProject, report: Report, progress: Progress = no_progress
) -> Examples:
    """Items of tasks for the project's model, each read once per round; unreadable tasks go into the report."""
    unread = [task for task in tasks if task.id not in project.items]
    new = read_items(unread, project.question, project.reader, project.media, progress)
    report.left_out.update(new.left_out)
    project.items.update(zip(new.task_ids.tolist(), new.items, strict=True))
    kept = [task.id for task in tasks if task.id in project.items]
    return Examples(np.array(kept, dtype=np.int64), [project.items[task] for task in kept], new.left_out)


def targets_of(answers: Sequence[str], question: ChoiceQuestion) -> NDArray[np.int64]:
    """Indices of labels ``[N]``; where the question takes several choices, sets ``[N, C]``."""
    return target_rows(answers, question.labels, multiple=question.multiple)


def read_labelled(
    labelled: Sequence[tuple[Task, str]], project: RoundProject, report: Report
) -> tuple[LabeledItems, Ids]:
    """Labelled tasks as items with their targets, and the ids of these tasks ``[N]``: those that can be read."""
    examples = read_tasks([task for task, _ in labelled], project, report)
    labels = {task.id: label for task, label in labelled}
    targets = targets_of([labels[task] for task in examples.task_ids.tolist()], project.question)
    return LabeledItems(examples.items, targets), examples.task_ids
