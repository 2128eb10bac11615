"""One label for many tasks at once: which tasks may get it, what it would do, and what is said of it.

`bulk_portions` writes them, and takes them back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ml_backend.label_sets import shown
from ml_backend.label_studio.answers import label_of
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import CONTROL, Task
from ml_backend.store.bulk_actions import BulkAction
from ml_backend.store.project_store import ProjectStore

ANSWERED, SKIPPED, EVALUATION, GONE, CONTROLS = "answered", "skipped", "evaluation", "gone", "control"
WHY: Final[Mapping[str, str]] = {
    ANSWERED: "somebody answered before",
    SKIPPED: "somebody skipped",
    EVALUATION: "held out to measure by",
    CONTROLS: "control tasks, which measure the model",
    GONE: "not in the project any more",
}
"""Why a task is left alone, in words."""
CHANGED: Final = "changed"
WHY_KEPT: Final[Mapping[str, str]] = {CHANGED: "somebody changed since", GONE: "deleted already"}


@dataclass(frozen=True)
class Preview:
    """What an action would do."""

    ready: tuple[int, ...]
    """Tasks that would get the label."""
    left: Mapping[int, str]
    """Task → a key of `WHY`."""
    answers: Mapping[str, int]
    """Label → how many of the tasks have it already."""


def control_tasks(store: ProjectStore) -> set[int]:
    """Tasks of the present order, and of the one that is being published, that measure the model."""
    coming = store.announced()
    names = {store.current().queue, coming.queue if coming else None} - {None}
    return {
        item.task_id for name in names if name for item in store.queue(name).predictions if item.picked_by == CONTROL
    }


def why_not(task: Task | None, control: Collection[int]) -> str | None:
    """Why a task gets no label together with others; None where it may."""
    if task is None:
        return GONE
    if task.is_evaluation:
        return EVALUATION
    if any(not annotation.cancelled for annotation in task.annotations):
        return ANSWERED
    if task.is_skipped:
        return SKIPPED
    return CONTROLS if task.id in control else None


def preview(store: ProjectStore, question: ChoiceQuestion, tasks: Iterable[Task], asked: Sequence[int]) -> Preview:
    """What labelling the ``asked`` tasks would do, by what this machine last read of them."""
    known, control = {task.id: task for task in tasks}, control_tasks(store)
    left = {task: why for task in dict.fromkeys(asked) if (why := why_not(known.get(task), control)) is not None}
    given = Counter(
        _shown(label_of(annotation.result, question))
        for task in left
        if left[task] == ANSWERED
        for annotation in known[task].annotations[-1:]
    )
    return Preview(tuple(task for task in dict.fromkeys(asked) if task not in left), left, dict(given.most_common()))


def _shown(label: str | None) -> str:
    return "?" if label is None else shown(label)


def told_labelled(action: BulkAction) -> str:
    """How far an action came, in words."""
    done = f"{len(action.written):,} of {len(action.tasks):,} tasks labelled “{shown(action.label)}” by {action.email}."
    return f"{done} {_reasons(action.left.values(), WHY, 'left alone')}".strip()


def told_undone(action: BulkAction) -> str:
    """How far it was taken back, in words."""
    done = f"{len(action.taken_back):,} of {len(action.written):,} answers taken back."
    return f"{done} {_reasons(action.kept.values(), WHY_KEPT, 'kept')}".strip()


def _reasons(found: Iterable[str], words: Mapping[str, str], what: str) -> str:
    """Why some tasks were left out, in a sentence; empty where none was."""
    parts = [f"{count:,} {words.get(why, why)}" for why, count in Counter(found).items()]
    return f"{what.capitalize()}: {'; '.join(parts)}." if parts else ""
