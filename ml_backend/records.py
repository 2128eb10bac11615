"""Plain records that pass between the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

EVALUATION_FIELD = "split"
"""Task data field that marks the held-out tasks."""
EVALUATION_SPLIT = "evaluation"
"""Its value on tasks that are only ever used to measure."""


@dataclass(frozen=True)
class Wanted:
    """What a project's settings say about its labeling config."""

    question: str = ""
    """Names of the controls that are learnt, with commas; empty: all that can be."""
    objects: str = ""
    """Names of the objects that are learnt from, with commas; empty: the one that the question is about."""
    embedding_field: str = ""
    """Task data field with numbers that are learnt from instead; empty: none."""
    options: str = ""
    """Choices that come with the tasks, as JSON: of each such field those that all tasks have; empty: not known."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """What a project's extra params say; what is no text there says nothing (settings refuse it)."""
        said = (params.get(name) for name in ("question", "objects", "embedding_field"))
        return cls(*(text if isinstance(text, str) else "" for text in said))


NO_WISH: Final = Wanted()
VECTOR: Final = "Vector"
"""Stands where an object tag does: one vector of several objects, or of numbers that come with the task."""


@dataclass(frozen=True)
class Annotation:
    """One person's answer to one task."""

    id: int
    annotator: int | None
    updated_at: datetime
    result: Any = ()
    """As Label Studio keeps it: mostly a list of objects, but anything may have been imported. `answers` reads it."""
    cancelled: bool = False
    """Skipped by the annotator."""
    label: str | None = None
    """The choice in ``result``, where the project's question was answered."""


@dataclass(frozen=True)
class Task:
    """One Label Studio task, as last read."""

    id: int
    data: Mapping[str, Any]
    is_labeled: bool = False
    """Label Studio has as many annotations as it wants; the task is out of the label stream."""
    annotations: tuple[Annotation, ...] = field(default=())

    @property
    def is_evaluation(self) -> bool:
        """Whether the task is held out for measuring."""
        return self.data.get(EVALUATION_FIELD) == EVALUATION_SPLIT

    @property
    def is_skipped(self) -> bool:
        """Whether somebody skipped the task."""
        return any(annotation.cancelled for annotation in self.annotations)


@dataclass(frozen=True)
class Project:
    """What one project looks like in Label Studio now."""

    id: int
    uid: str
    """``id.creation-time``, as Label Studio names projects to a backend: unlike the id, never used twice."""
    title: str
    label_config: str
    model_version: str
    sampling: str
    maximum_annotations: int
    task_count: int
    annotation_count: int
    """Annotations of all tasks, skipped ones included."""
    takes_empty: bool = True
    """Whether people can submit an annotation in which nothing is chosen."""


@dataclass(frozen=True)
class Prediction:
    """One queued task: what is written to Label Studio."""

    task_id: int
    label: str | None
    confidence: float
    """Probability of ``label``."""
    score: float
    """Served score in [0, 1]: Label Studio shows the lowest first."""
    picked_by: str = ""
    """What put it into the queue: a strategy's name, ``control``, or ``pinned`` by a person."""
    reason: str = ""
    """Why that strategy chose it, in words; empty where its name says all, and of control tasks."""
    result: Sequence[Mapping[str, Any]] | None = None
    """Another model's regions, as Label Studio keeps them, in queues of such: also of control tasks, which show none.
    None where no other model predicted the task."""
    besides: Sequence[Mapping[str, Any]] | None = None
    """The guesses to the other questions that are learnt, as regions; None where there is one question."""
    asked_by: str = ""
    """Of several questions that take turns the control of the one that wanted the task; empty: the first."""


@dataclass(frozen=True)
class Queue:
    """An order of tasks, published under one name."""

    name: str
    """The ``model_version`` of its predictions in Label Studio."""
    version: str | None
    """Model version that scored it; None before a first model."""
    strategy: str
    samples: int
    seed: int
    predictions: tuple[Prediction, ...]
    """In the order they are served."""
    prelabel: bool = True
    """Whether people see the guesses, those of control tasks aside."""
    source: Mapping[str, int] | None = None
    """Of a queue of other models' predictions: their ``model_version`` → tasks; None of all other queues."""


Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


CONTROL: Final = "control"
"""What put a control task into a queue, where other tasks have the name of a strategy."""

PINNED: Final = "pinned"
"""The same, where a person wanted it: see `queue_overrides`."""

BULK: Final = "bulk"
"""What stands in its place where no queue asked: a person answered many tasks at once, see `rounds.bulk`."""

FIRST_ROW: Final = 2**62
"""From here on a number is that of a row of a pool outside Label Studio (`pool.row_keys`), below a task's id."""
