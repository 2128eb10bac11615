"""One project's export: read once, written in one of several forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml_backend.errors import BadItemError, DataError
from ml_backend.exporting.datasets_folder import write_dataset
from ml_backend.exporting.label_studio_json import label_studio_tasks
from ml_backend.exporting.rows import annotation_rows
from ml_backend.exporting.tables import csv_text, json_lines, json_text
from ml_backend.files import AtomicWriter, Staged, for_people
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Task
from ml_backend.rounds.asked import question_of
from ml_backend.store.project_store import ProjectStore

BY_ENDING: Final = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", "": "datasets"}
"""Ending of a file's name → form."""


@dataclass(frozen=True)
class Export:
    """What was read of one project."""

    title: str
    question: ChoiceQuestion
    tasks: Sequence[Mapping[str, Any]]
    """As Label Studio exports them."""
    rows: Sequence[Mapping[str, Any]]
    """See `rows.annotation_rows`."""
    predictions: Sequence[Mapping[str, Any]]
    """All of the project, whoever wrote them."""
    emails: Mapping[int, str]


@dataclass(frozen=True)
class Options:
    """How to write it."""

    full: bool = False
    """Do not shorten embedded images in a table."""
    media: MediaReader | None = None
    """Reads images that are to stand beside the rows; None: rows keep what the tasks hold."""


def read_export(
    client: LabelStudioClient, project_id: int, store: ProjectStore | None, *, whole: bool = False
) -> Export:
    """Read the annotated tasks of a project; the ``whole`` of it with open tasks and predictions.

    Raises:
        LabelStudioError: Label Studio failed. LabelConfigError: the project asks no single choice.
    """
    project = client.project(project_id)
    question, emails = question_of(client, project, store), client.emails()
    tasks = client.export(project_id, everything=whole)
    rows = list(annotation_rows(tasks, question, emails, store))
    predictions = client.predictions(project_id) if whole else []
    return Export(project.title, question, tasks, rows, predictions, emails)


def _csv(export: Export, path: Path, options: Options) -> None:
    write_whole(path, csv_text(export.rows, full=options.full))


def _json(export: Export, path: Path, options: Options) -> None:
    del options
    write_whole(path, json_text(export.rows))


def _json_lines(export: Export, path: Path, options: Options) -> None:
    del options
    write_whole(path, json_lines(export.rows))


def _label_studio(export: Export, path: Path, options: Options) -> None:
    del options
    write_whole(path, json_text(label_studio_tasks(export.tasks, export.rows, export.predictions, export.emails)))


def _dataset(export: Export, path: Path, options: Options) -> None:
    read = None
    if options.media is not None and export.question.shown_as == "Image":
        read = _image_reader(options.media, export.question)

    def fill(folder: Staged) -> None:
        write_dataset(folder, export.rows, export.question, title=export.title, read_image=read)

    try:
        for_people.write_folder(path, fill)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}. Name a new folder.") from exc


WHOLE: Final = "label-studio"
"""The form that holds the whole project."""
FORMS: Final[Mapping[str, Callable[[Export, Path, Options], None]]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _json_lines,
    WHOLE: _label_studio,
    "datasets": _dataset,
}


def form_of(path: Path, asked: str | None) -> str:
    """The form to write, by name or by a file's ending.

    Raises:
        DataError: unknown.
    """
    form = asked or BY_ENDING.get(path.suffix.lower(), "")
    if form not in FORMS:
        endings = ", ".join(filter(None, BY_ENDING))
        raise DataError(f"--out {path}: the name must end in {endings}, or in nothing; or give --format.")
    return form


def write_whole(path: Path, text: str, writer: AtomicWriter = for_people) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    try:
        writer.write_text(path, text)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}") from exc


def _image_reader(media: MediaReader, question: ChoiceQuestion) -> Callable[[Mapping[str, Any]], bytes]:
    def read(row: Mapping[str, Any]) -> bytes:
        task = Task(row["task_id"], row["data"])
        try:
            content = media.shown(task, question)
        except BadItemError as exc:
            raise DataError(f"Task {task.id}: {exc}. With --images url the rows keep what the tasks name.") from exc
        return content if isinstance(content, bytes) else content.encode()

    return read
