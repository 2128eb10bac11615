"""What rounds share, and one project as a round sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.fetching.fetcher import Fetcher
from ml_backend.label_sets import unpack
from ml_backend.label_studio.client import LabelStudioClient
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
from ml_backend.store.library import ModelLibrary
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import QueueOverrides
from ml_backend.store.registry import StoreRegistry


@dataclass(frozen=True)
class Workspace:
    """What rounds of all projects share."""

    client: LabelStudioClient
    root: Path
    """Folder of all stores."""
    defaults: ProjectSettings = field(default_factory=lambda: ProjectSettings())
    library: ModelLibrary = field(default_factory=ModelLibrary)
    keep_versions: int = 20
    keep_queues: timedelta = timedelta(hours=1)
    """How long a replaced order stays in Label Studio."""
    stores: StoreRegistry | None = None
    """The stores under ``root``, where they are shared with others; None where this process has them to itself."""
    fetcher: Fetcher = field(default_factory=Fetcher)
    """Fetches images that are not Label Studio's."""
    media_seconds: float = 120.0
    """That a round may spend on fetching."""
    outside: FindPool | None = None
    """Finds the pool outside Label Studio that a project is connected to; None where nothing knows of such."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The clock."""

    def store(self, uid: str) -> ProjectStore:
        """A project's store."""
        return self.stores.get(uid) if self.stores is not None else ProjectStore(self.root, uid)


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
    """The questions that are learnt beside the first, each with the tasks as it divides them."""
    vector_length: int = 0
    """Numbers that each item has, where they come with the tasks; else 0."""
    unlabelled: Unlabelled | None = None
    """What was learnt of its tasks without labels; None where nothing was, or not yet."""
    outside: OutsidePool | None = None
    """The pool that it is connected to. Some rows of it are among the open tasks, with numbers that no task has."""
    keys: Mapping[int, int] = field(default_factory=dict)
    """Task id → what draws go by instead: of tasks that came from a pool outside, the number of their row."""

    def draw_ids(self, task_ids: Sequence[int] | Ids) -> Ids:
        """What draws go by, of some tasks ``[N]``."""
        return np.array([self.keys.get(int(task), int(task)) for task in task_ids], dtype=np.int64)

    @cached_property
    def reader(self) -> ItemReader:
        """How its model reads the content of tasks."""
        found = reader_of(self.model, self.settings.hyperparameters)
        return replace(found, length=self.vector_length) if self.vector_length else found

    @property
    def read_by(self) -> str:
        """The network that makes its items, where settings alone do not tell; else empty.

        Two networks may make as many numbers, which must not be mixed.
        """
        return self.reader.name if self.reader.rounded else ""

    def new_model(self) -> Model:
        """An untrained model of the project's question.

        Raises:
            ModelError: it takes one choice per answer, and the question several.
        """
        return new_model(self.model, self.question.labels, multiple=self.question.multiple)

    @property
    def label_counts(self) -> dict[str, int]:
        """How many answers have each label, of those that it is trained on."""
        return dict(Counter(each for _, label in self.pool.training for each in unpack(label)))


class OutsidePool(Protocol):
    """What a round asks of a pool outside Label Studio, which has only those rows as tasks that people should see.

    A row takes part in a round as an open task, under a number that no task has (`pool.row_keys`).
    """

    @property
    def rows(self) -> int:
        """How many there are."""

    def settle(self, now: Project, recorder: Recorder) -> None:
        """Finish what a round that was cut off announced: its rows become tasks, once each.

        Raises:
            LabelStudioError: they cannot be looked for, or imported.
        """

    def attached(self, project: RoundProject, recorder: Recorder) -> RoundProject:
        """The project as the pool's vectors suit it, with the rows that the last pass left among its open tasks."""

    def searched(
        self, project: RoundProject, model: Model | None, recorder: Recorder, heads: Sequence[Head] = ()
    ) -> RoundProject:
        """The project with other rows among its open tasks: those that are worth comparing now.

        Args:
            project: as the round read it.
            model: of the first question; None before a first.
            recorder: times it, and takes what keeps the pool from being searched.
            heads: of the questions beside it.
        """

    def sample(self, project: RoundProject, count: int) -> Sequence[Task]:
        """So many of its rows that are no tasks, at the most: a uniform sample, the same one from round to round."""

    def fed(
        self, project: RoundProject, chosen: Sequence[int], recorder: Recorder
    ) -> tuple[RoundProject, Mapping[int, int]]:
        """Make tasks of the rows among the chosen; the project with them, and number of each row → its task's id.

        Raises:
            LabelStudioError: Label Studio did not take them; they are announced, and a later round finishes it.
        """

    def concluded(self, project: RoundProject, recorder: Recorder) -> None:
        """What nobody waits for, after the new order stands; fails no round."""


FindPool = Callable[[ProjectStore, LabelStudioClient, bool], OutsidePool | None]
"""Called with the project's store, a client, and whether the round is a dry run."""


def read_tasks(
    tasks: Sequence[Task], project: RoundProject, report: Report, progress: Progress = no_progress
) -> Examples:
    """Items of tasks for the project's model, read once a round; what cannot be read goes into the report."""
    unread = [task for task in tasks if task.id not in project.items]
    new = read_items(unread, project.question, project.reader, project.media, progress)
    report.left_out.update(new.left_out)
    project.items.update(zip(new.task_ids.tolist(), new.items, strict=True))
    kept = [task.id for task in tasks if task.id in project.items]
    return Examples(np.array(kept, dtype=np.int64), [project.items[task] for task in kept], new.left_out)


def target_indices(
    labels: Sequence[str], examples: Examples, task_ids: Sequence[int], question: ChoiceQuestion
) -> NDArray[np.int64]:
    """Targets of the examples that could be read: indices into the question's labels, in the order of the examples.

    Where the question takes several choices, sets ``[N, C]``.
    """
    return targets_of([labels[position] for position in examples.positions(task_ids)], question)


def targets_of(answers: Sequence[str], question: ChoiceQuestion) -> NDArray[np.int64]:
    """Indices of labels ``[N]``; where the question takes several choices, sets ``[N, C]``."""
    return target_rows(answers, question.labels, multiple=question.multiple)


def read_known(labelled: Sequence[tuple[Task, str]], project: RoundProject, report: Report) -> LabeledItems:
    """Labelled tasks as items with their targets, those that can be read."""
    tasks = [task for task, _ in labelled]
    examples = read_tasks(tasks, project, report)
    targets = target_indices([label for _, label in labelled], examples, [task.id for task in tasks], project.question)
    return LabeledItems(examples.items, targets)
