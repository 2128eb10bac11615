"""The export of a project: read once, written in one of several forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml_backend.config import ProjectSettings
from ml_backend.errors import BadItemError, DataError, LabelConfigError
from ml_backend.exporting.answers import Controls
from ml_backend.exporting.datasets_folder import classes_of, write_dataset
from ml_backend.exporting.label_studio_json import label_studio_tasks
from ml_backend.exporting.rows import annotation_rows
from ml_backend.exporting.tables import csv_text, json_lines, json_text
from ml_backend.files import AtomicWriter, Staged, for_people
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.config_objects import Shown, ShownObject
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.layout import read_layout
from ml_backend.label_studio.media import MediaReader
from ml_backend.records import Project, Task, Wanted
from ml_backend.rounds.asked import params_of, read_asked, with_options
from ml_backend.rounds.predicted.wanted import by_predictions
from ml_backend.store.project_store import ProjectStore

BY_ENDING: Final = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", "": "datasets"}
"""Ending of a file's name → form."""
NO_SETTINGS: Final = ProjectSettings()


@dataclass(frozen=True)
class Asked:
    """What a project asks."""

    question: ChoiceQuestion | None
    """The leading question; None if another model's predictions order the project, and nothing is learnt."""
    controls: Controls
    shown: Shown | None
    """What people see of a task, if that is an image or a text."""


@dataclass(frozen=True)
class Export:
    """Everything that was read from a project."""

    title: str
    asked: Asked
    tasks: Sequence[Mapping[str, Any]]
    """In the form of Label Studio's export."""
    rows: Sequence[Mapping[str, Any]]
    """See `rows.annotation_rows`."""
    predictions: Sequence[Mapping[str, Any]]
    """All predictions of the project, whoever wrote them."""
    emails: Mapping[int, str]


@dataclass(frozen=True)
class Options:
    """How to write the export."""

    full: bool = False
    """Do not shorten embedded images in a table."""
    media: MediaReader | None = None
    """Reads images that are to be written beside the rows; None: rows keep what the tasks hold."""


def read_export(
    client: LabelStudioClient,
    project_id: int,
    store: ProjectStore | None,
    *,
    whole: bool = False,
    defaults: ProjectSettings = NO_SETTINGS,
) -> Export:
    """Read the annotated tasks of a project or, with ``whole``, all tasks and predictions.

    Raises:
        LabelStudioError: Label Studio failed.
        LabelConfigError: nothing of the project can be learnt, and no other model's predictions order it.
        ConfigurationError: wrong settings.
    """
    project = client.project(project_id)
    params = store.extra_params() if store is not None else params_of(client, project_id)
    settings = defaults.override(params, where="Extra params")
    wanted = with_options(client, project_id, project.label_config, store, settings.wanted)
    asked, emails = _asked(project, store, settings, wanted), client.emails()
    tasks = client.export(project_id, everything=whole)
    rows = list(annotation_rows(tasks, asked.question, emails, store, asked.controls))
    predictions = client.predictions(project_id) if whole else []
    return Export(project.title, asked, tasks, rows, predictions, emails)


def _asked(project: Project, store: ProjectStore | None, settings: ProjectSettings, wanted: Wanted) -> Asked:
    layout = read_layout(project.label_config, project=project.id)
    try:
        config = read_asked(project.label_config, project.id, store, wanted)
    except LabelConfigError:
        if not by_predictions(settings):
            raise
        shown = None
        if layout.object_tag in ("Image", "Text"):
            shown = ShownObject("", layout.object_tag, layout.object_tag, layout.field)
        return Asked(None, Controls.of(tuple(layout.controls), ()), shown)
    learnt = (config.question, *config.others)
    return Asked(config.question, Controls.of(tuple(layout.controls), learnt), config.question)


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
    asked, read = export.asked, None
    if options.media is not None and asked.shown is not None and asked.shown.shown_as == "Image":
        read = _image_reader(options.media, asked.shown)

    def fill(folder: Staged) -> None:
        classes = classes_of(asked.question, asked.controls)
        field = asked.shown.field if asked.shown is not None else ""
        write_dataset(folder, export.rows, classes, title=export.title, field=field, read_image=read)

    try:
        for_people.write_folder(path, fill)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}. Name a new folder.") from exc


WHOLE: Final = "label-studio"
"""The form that contains the whole project."""
FORMS: Final[Mapping[str, Callable[[Export, Path, Options], None]]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _json_lines,
    WHOLE: _label_studio,
    "datasets": _dataset,
}


def form_of(path: Path, asked: str | None) -> str:
    """The form to write, by its name or by a file's ending.

    Raises:
        DataError: unknown.
    """
    form = asked or BY_ENDING.get(path.suffix.lower(), "")
    if form not in FORMS:
        endings = ", ".join(filter(None, BY_ENDING))
        raise DataError(f"--out {path}: the name must end in {endings}, or in nothing; or give --format.")
    return form


def write_whole(path: Path, text: str, writer: AtomicWriter = for_people) -> None:
    """Write a file, all or nothing.

    Raises:
        DataError: it cannot be written.
    """
    try:
        writer.write_text(path, text)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}") from exc


def _image_reader(media: MediaReader, shown: Shown) -> Callable[[Mapping[str, Any]], bytes]:
    def read(row: Mapping[str, Any]) -> bytes:
        task = Task(row["task_id"], row["data"])
        try:
            content = media.shown(task, shown)
        except BadItemError as exc:
            raise DataError(f"Task {task.id}: {exc}. With --images url the rows keep what the tasks name.") from exc
        return content if isinstance(content, bytes) else content.encode()

    return read
