"""Plans what ``lsal import`` would do with a file or folder, and does it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ml_backend.cli.common import console, progress_bar, warn
from ml_backend.cli.import_accounts import accounts_of, give_answers
from ml_backend.cli.import_columns import label_column
from ml_backend.config import Settings
from ml_backend.errors import ActiveLearningError, DataError
from ml_backend.importing.items import Remarks
from ml_backend.importing.new_tasks import import_row, known_keys, send
from ml_backend.importing.reading import NewTask, TaskFields, read_tasks
from ml_backend.importing.rows import TEXTS, rows_of
from ml_backend.label_studio.answers import is_listed, label_of
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import decoded_text
from ml_backend.records import EVALUATION_FIELD, EVALUATION_SPLIT, Project, Task
from ml_backend.rounds.asked import question_of
from ml_backend.store.project_store import ProjectStore

SHOWN_PROBLEMS: Final = 20


@dataclass
class Plan:
    """What an import would do."""

    tasks: list[NewTask]
    """The readable tasks whose labels the project knows, each content once."""
    problems: list[str]
    """A line for each item that is left out."""
    doubles: int
    """Items whose content came earlier in the same file."""
    conflicts: list[str] = field(default_factory=list)
    """A line for each of them with a different label: the first label of a content counts."""
    notes: list[str] = field(default_factory=list)
    """A line for each answer or prediction that is left out of its task, or does not count."""
    lost: list[str] = field(default_factory=list)
    """What in the file cannot be kept, with how often it occurs."""
    question: ChoiceQuestion | None = None
    """What the project asks."""
    refused: int = 0
    """Tasks that Label Studio refused; each has a line in ``problems``."""
    evaluation: set[str] = field(default_factory=set)
    """Keys of the tasks that are held out for measuring."""


@dataclass(frozen=True)
class ImportOptions:
    """How a file is imported; see the options of ``lsal import``."""

    labels: Path | None = None
    label_column: str | None = None
    text_column: str | None = None
    with_labels: bool = True
    evaluation: str | None = None
    seed: int = 0
    strict: bool = False
    dry_run: bool = False
    leave_out_unknown: bool = False


def import_file(
    path: Path, client: LabelStudioClient, project: Project, options: ImportOptions, store: ProjectStore | None = None
) -> Plan:
    """Read a file, report what is wrong with it and what cannot be kept, and import it.

    Raises:
        DataError: it cannot be read, or nothing of it may be imported.
    """
    question = question_of(client, project, store, coming=_coming(path))
    plan = make_plan(path, question, options)
    notes: list[str] = []
    if options.with_labels and any(task.annotations for task in plan.tasks):
        plan.tasks, notes = give_answers(plan.tasks, accounts_of(client), leave_out=options.leave_out_unknown)
    tell_before(plan, notes)
    if options.strict and (wrong := len(plan.problems) + len(plan.conflicts) + len(plan.notes)):
        raise DataError(f"{wrong:,} items of {path} have problems; nothing was imported (--strict)")
    if options.evaluation is not None:
        plan.evaluation = draw_evaluation(plan.tasks, options.evaluation, options.seed)
    rows = send_new(client, project, question, plan, options)
    line = summary(rows, plan, skipped=len(plan.tasks) - len(rows) - plan.refused)
    line = f"Nothing was imported (--dry-run). Without it: {line}" if options.dry_run else line
    console.print(line, highlight=False, soft_wrap=True)
    if not plan.tasks:
        raise DataError(f"Nothing in {path} could be imported")
    return plan


def _coming(path: Path) -> Iterator[Task]:
    """The raw tasks of a file, before it is known which part is read, because choices may come with the tasks."""
    for number, (_, row) in enumerate(rows_of(path) if path.is_file() and path.suffix.lower() in TEXTS else (), 1):
        if isinstance(row, Mapping):
            data = row.get("data")
            yield Task(number, data if isinstance(data, dict) else dict(row))


def send_new(
    client: LabelStudioClient, project: Project, question: ChoiceQuestion, plan: Plan, options: ImportOptions
) -> list[dict[str, Any]]:
    """Import those tasks of a plan that the project lacks; returns their rows.

    Those that are refused become problems.
    """
    known = known_keys(client, project.id, question) if project.task_count else set[str]()
    new = [task for task in plan.tasks if task.key not in known]
    answered = [task for task in plan.tasks if task.key in known and (task.annotations or task.label is not None)]
    if answered and options.with_labels:
        warn(f"{len(answered):,} tasks are in the project already; their answers in the file are not added.")
    rows = [import_row(task, question, plan.evaluation, with_labels=options.with_labels) for task in new]
    if options.dry_run:
        return rows
    refused: dict[int, str] = {}
    with progress_bar() as shown:
        bar = shown.add_task("Importing", total=len(rows))
        send(client, project.id, rows, lambda done, _: shown.update(bar, completed=done), refused=refused.__setitem__)
    lines = [f"{new[place].where}: {why}; left out" for place, why in refused.items()]
    tell_problems(lines)
    plan.problems += lines
    plan.refused = len(lines)
    return [row for place, row in enumerate(rows) if place not in refused]


def make_plan(path: Path, question: ChoiceQuestion, options: ImportOptions = ImportOptions()) -> Plan:
    """Read all items. Those with an unknown label (if labels matter) or with an earlier content are left out.

    If a content occurs several times, its first label counts. Answers of different annotators to it are all kept.

    Raises:
        DataError: the file or folder as a whole cannot be read.
    """
    plan, remarks, check = (
        Plan([], [], 0, question=question),
        Remarks(),
        options.with_labels or options.evaluation is not None,
    )
    tasks: dict[str, NewTask] = {}
    unknown: list[str] = []
    for task in _items(path, question, options, plan.problems, remarks):
        if check and task.label is not None and task.label not in question.labels:
            unknown.append(f'{task.where}: label "{task.label}" is not in the labeling config; left out')
        elif (first := tasks.get(task.key)) is not None:
            plan.doubles += 1
            tasks[task.key] = _joined(first, task, question, plan.conflicts if check else [])
        else:
            tasks[task.key] = task
    plan.tasks = list(tasks.values())
    plan.problems += unknown
    plan.notes = remarks.lines
    plan.lost = [f"{name} ({count:,})" for name, count in remarks.lost.items() if count]
    return plan


def _items(
    path: Path, question: ChoiceQuestion, options: ImportOptions, problems: list[str], remarks: Remarks
) -> Iterator[NewTask]:
    column = label_column(path, question, options.text_column) if options.label_column is None else options.label_column
    fields = TaskFields(question.shown_as, question.field, column or None, options.text_column, question)
    return read_tasks(path, fields, labels_path=options.labels, problems=problems, remarks=remarks)


def _joined(first: NewTask, task: NewTask, question: ChoiceQuestion, conflicts: list[str]) -> NewTask:
    """A task with what a later copy of it adds. A different label is a conflict."""
    owners = {str(given.get("completed_by")): given for given in first.annotations}
    added = []
    for given in task.annotations:
        known = owners.get(str(given.get("completed_by")))
        if known is None:
            added.append(given)
        elif (labels := _labels(known, given, question))[0] != labels[1]:
            conflicts.append(f'{task.where}: label "{labels[1]}"; {first.where} has "{labels[0]}", which counts')
    both = first.annotations and task.annotations
    if not both and task.label not in (None, first.label) and first.label is not None:
        conflicts.append(f'{task.where}: label "{task.label}"; {first.where} has "{first.label}", which counts')
    new = tuple(given for given in task.predictions if given not in first.predictions)
    joined = replace(
        first,
        annotations=(*first.annotations, *added),
        predictions=(*first.predictions, *new),
        meta=task.meta if first.meta is None else first.meta,
    )
    return joined if first.label is not None else replace(joined, label=task.label, where=task.where)


def _labels(first: Mapping[str, Any], given: Mapping[str, Any], question: ChoiceQuestion) -> tuple[Any, Any]:
    return label_of(first["result"], question), label_of(given["result"], question)


def draw_evaluation(tasks: Sequence[NewTask], wanted: str, seed: int) -> set[str]:
    """Keys of the tasks to hold out: a fraction or number of the labelled tasks, or of all if none is labelled.

    The draw depends only on contents and seed, not on the order of the file. A second run with more rows adds to it
    (with few exceptions), and tasks that are already in Label Studio stay as they are.

    Raises:
        DataError: ``wanted`` is neither, or would leave one of the two parts empty.
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


def tell_eyes(client: LabelStudioClient, settings: Settings, project: Project, plan: Plan) -> None:
    """Print which model and encoder first read the tasks of a plan, or why that cannot be told.

    The import is done by then, and does not fail because of this.
    """
    from ml_backend.rounds.encoder_preview import preview, settings_of

    question = plan.question or question_of(client, project, None)
    values = [] if question.by_url else [_content(task, question) for task in plan.tasks]
    try:
        line = preview(question, settings_of(settings, client, project.id), values)
    except ActiveLearningError as exc:
        warn(f"It cannot be said what will read these tasks: {exc}")
    else:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _content(task: NewTask, question: ChoiceQuestion) -> str:
    value = question.value(task.data)
    return decoded_text(value, question) if question.shown_as == "Text" else str(value)


def tell_before(plan: Plan, notes: Sequence[str]) -> None:
    """Print what is wrong with the file and what in it cannot be kept, before anything is imported."""
    for lines in (plan.problems, plan.conflicts, plan.notes):
        tell_problems(lines)
    if plan.lost:
        warn(f"Label Studio's import does not keep: {', '.join(plan.lost)}")
    for note in notes:
        console.print(f"{note}.", highlight=False, soft_wrap=True, markup=False)


def summary(rows: Sequence[Mapping[str, Any]], plan: Plan, *, skipped: int) -> str:
    """What happened, in one line."""
    labelled = sum(_is_labelled(row, plan.question) for row in rows)
    held_out = sum(row["data"].get(EVALUATION_FIELD) == EVALUATION_SPLIT for row in rows)
    twice = f" ({len(plan.conflicts):,} with another label: the first one counts)" if plan.conflicts else ""
    return (
        f"Imported {len(rows):,} tasks ({labelled:,} with a label, {held_out:,} for evaluation); "
        f"skipped {skipped:,} that were there and {plan.doubles:,} doubles{twice}; "
        f"left out {len(plan.problems):,} bad items."
    )


def _is_labelled(row: Mapping[str, Any], question: ChoiceQuestion | None) -> bool:
    given = row.get("annotations", ())
    return question is not None and any(is_listed(label_of(each["result"], question), question) for each in given)
