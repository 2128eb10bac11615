"""What tasks hold, for the parts of a mixture that compare them: texts, or numbers that come with the tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ml_backend.errors import BadItemError, ConfigurationError
from ml_backend.label_studio.task_fields import field_value
from ml_backend.models.vectors import Features, numbers
from ml_backend.records import Task
from ml_backend.rounds.predicted.reading import PredictedProject
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.vector_reading import without_numbers

SHOWN_TASKS: Final = 5
"""Tasks that a warning names."""


def contents(project: PredictedProject, tasks: Sequence[Task], recorder: Recorder) -> Sequence[Any]:
    """One text a task, or one vector ``float32 [D]``.

    A task without a text has the empty one, and one without a usable vector that of zeros: it is like no other.

    Raises:
        ConfigurationError: there is neither, or no task has numbers in the field that is named.
    """
    if field := project.settings.embedding_field:
        return _vectors(tasks, field, recorder)
    if not project.layout.text_field:
        raise ConfigurationError(
            f"Strategy {project.settings.strategy!r} compares tasks by what they hold, and the labeling config of "
            f"project {project.now.id} shows no text as one field of the task. Leave out the parts that compare, or "
            "set embedding_field to a field with numbers."
        )
    found = (field_value(task.data, project.layout.text_field) for task in tasks)
    return [value if isinstance(value, str) else "" for value in found]


def _vectors(tasks: Sequence[Task], field: str, recorder: Recorder) -> list[Features]:
    read = [_vector(task, field) for task in tasks]
    lengths = Counter(len(each) for each in read if not isinstance(each, BadItemError))
    if tasks and not lengths:
        raise ConfigurationError(without_numbers(tasks, field))
    usual = lengths.most_common(1)[0][0] if lengths else 1
    good = [not isinstance(each, BadItemError) and len(each) == usual for each in read]
    wrong = [task.id for task, is_good in zip(tasks, good, strict=True) if not is_good]
    if wrong:
        shown = ", ".join(map(str, wrong[:SHOWN_TASKS]))
        recorder.warn(
            f"{len(wrong):,} tasks hold no {usual:,} numbers in {field!r}: the parts of the strategy that compare "
            f"tasks treat them as unlike all others: {shown}."
        )
    nothing = np.zeros(usual, dtype=np.float32)
    return [
        each if is_good and not isinstance(each, BadItemError) else nothing
        for each, is_good in zip(read, good, strict=True)
    ]


def _vector(task: Task, field: str) -> Features | BadItemError:
    try:
        return numbers(field_value(task.data, field), f"field {field!r}")
    except BadItemError as exc:
        return exc
