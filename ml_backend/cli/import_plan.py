"""What ``lsal import`` would do with a file or folder, and doing it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ml_backend.cli.common import console, progress_bar, warn
from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError, DataError
from ml_backend.files import read_text
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.importing import NewTask, read_tasks
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.new_tasks import import_row, known_keys, send
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Project

SHOWN_PROBLEMS: Final = 20
USUAL_LABEL_COLUMN: Final = "label"
SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


@dataclass
class Plan:
    """What an import would do."""

    tasks: list[NewTask]
    """Readable, with labels that the project knows, each content once."""
    problems: list[str]
    """A line for each item that is left out."""
    doubles: int
    """Items whose content came earlier in the same file."""
    conflicts: list[str] = field(default_factory=list)
    """A line for each of them that has another label: the first label of a content counts."""
    evaluation: set[str] = field(default_factory=set)
    """Keys of the tasks that are held out for measuring."""


def send_new(
    client: LabelStudioClient, project: Project, question: ChoiceQuestion, plan: Plan, *, with_labels: bool
) -> list[dict[str, Any]]:
    """Import the tasks of a plan that the project lacks; their rows."""
    known = known_keys(client, project.id, question) if project.task_count else set[str]()
    new = [task for task in plan.tasks if task.key not in known]
    rows = [import_row(task, question, plan.evaluation, with_labels=with_labels) for task in new]
    with progress_bar() as shown:
        bar = shown.add_task("Importing", total=len(rows))
        send(client, project.id, rows, lambda done, _: shown.update(bar, completed=done))
    return rows


def make_plan(
    path: Path,
    question: ChoiceQuestion,
    *,
    labels: Path | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    check: bool = True,
) -> Plan:
    """Read all items; those with an unknown label (if ``check`` is true) or a content seen before are left out.

    Of a content that comes several times the first label counts.

    Raises:
        DataError: the file or folder as a whole cannot be read.
    """
    unreadable: list[str] = []
    unknown: list[str] = []
    tasks: dict[str, NewTask] = {}
    items = read_tasks(
        path,
        config_object_tag=question.object_tag,
        value_key=question.field,
        label_column=label_column or _usual_label_column(path),
        text_column=text_column,
        labels_path=labels,
        problems=unreadable,
    )
    doubles, conflicts = 0, list[str]()
    for task in items:
        if check and task.label is not None and task.label not in question.labels:
            unknown.append(f'{task.where}: label "{task.label}" is not in the labeling config; left out')
        elif (first := tasks.get(task.key)) is not None:
            doubles += 1
            if first.label is None:
                tasks[task.key] = replace(first, label=task.label, where=task.where)
            elif check and task.label not in (None, first.label):
                conflicts.append(f'{task.where}: label "{task.label}"; {first.where} has "{first.label}", which counts')
        else:
            tasks[task.key] = task
    return Plan(list(tasks.values()), unreadable + unknown, doubles, conflicts)


def _usual_label_column(path: Path) -> str | None:
    kind = path.suffix.lower()
    if kind not in SEPARATORS or not path.is_file():
        return None
    header = next(csv.reader(io.StringIO(read_text(path), newline=""), delimiter=SEPARATORS[kind]), [])
    return USUAL_LABEL_COLUMN if USUAL_LABEL_COLUMN in map(str.strip, header) else None


def draw_evaluation(tasks: Sequence[NewTask], wanted: str, seed: int) -> set[str]:
    """Keys of the tasks to hold out: a fraction or a count of the labelled ones, of all where none is labelled.

    The draw depends on contents and seed only, not on the order of the file: a second run, with more rows, adds to it
    but for few exceptions, and tasks that are in Label Studio stay as they are.

    Raises:
        DataError: ``wanted`` is neither, or would leave nothing out of the held-out part, or nothing in it.
    """
    candidates = [task for task in tasks if task.label is not None] or tasks
    try:
        size = int(wanted) if wanted.isdecimal() else round(float(wanted) * len(candidates))
    except (ValueError, OverflowError) as exc:
        raise DataError(f"--evaluation {wanted}: give a fraction such as 0.2 or a count such as 200") from exc
    if not 0 < size < len(tasks) or size > len(candidates):
        raise DataError(
            f"--evaluation {wanted} would hold out {size:,} of {len(tasks):,} tasks, {len(candidates):,} of them "
            "eligible; hold out some, not all"
        )
    drawn = sorted(candidates, key=lambda task: hashlib.sha256(f"{seed} {task.key}".encode()).digest())
    return {task.key for task in drawn[:size]}


def tell_problems(problems: Sequence[str]) -> None:
    """Print the first problems, and how many more there are."""
    for line in problems[:SHOWN_PROBLEMS]:
        warn(line)
    if len(problems) > SHOWN_PROBLEMS:
        warn(f"... and {len(problems) - SHOWN_PROBLEMS:,} more")


def tell_eyes(
    client: LabelStudioClient, settings: Settings, project_id: int, question: ChoiceQuestion, plan: Plan
) -> None:
    """Print which model and encoder the tasks of a plan are read with at first; what keeps that from being told, too.

    The import is done by then: it has not failed where this does.
    """
    from ml_backend.rounds.encoder_preview import preview, settings_of

    values = [str(question.value(task.data)) for task in plan.tasks]
    try:
        line = preview(question, settings_of(settings, client, project_id), values)
    except ActiveLearningError as exc:
        warn(f"What will read these tasks cannot be told: {exc}")
    else:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def summary(rows: Sequence[Mapping[str, Any]], plan: Plan, *, skipped: int) -> str:
    """What happened, in one line."""
    labelled = sum("annotations" in row for row in rows)
    held_out = sum(row["data"].get(EVALUATION_FIELD) == EVALUATION_SPLIT for row in rows)
    twice = f" ({len(plan.conflicts):,} with another label: the first one counts)" if plan.conflicts else ""
    return (
        f"Imported {len(rows):,} tasks ({labelled:,} with a label, {held_out:,} for evaluation); "
        f"skipped {skipped:,} that were there and {plan.doubles:,} doubles{twice}; "
        f"left out {len(plan.problems):,} bad items."
    )
