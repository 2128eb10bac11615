"""Reads import files into new tasks: tables, JSON, JSON Lines, plain lines, exports, folders of images, idx pairs.

A problem with a whole file raises `DataError`. An item with a problem is left out and reported in a line with its file
and place; all others are read.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ml_backend.errors import BadItemError, DataError
from ml_backend.importing.images import idx_images, idx_pair, image_folder
from ml_backend.importing.items import DATA_PREFIX, ImportItem, Remarks, is_export, item_of
from ml_backend.importing.rows import BLANK, TEXTS, columns_of, rows_of
from ml_backend.label_studio.answers import is_listed, read_answer, set_in
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import PARAGRAPHS, decoded_text
from ml_backend.label_studio.task_fields import field_value, with_field
from ml_backend.label_studio.url_kinds import KINDS, is_readable

IMAGE_TAG: Final = "Image"
TEXT_COLUMNS: Final = ("text", "headline_text", "headline", "title")
"""Column names that are taken for the text, in this order."""
IMAGE_COLUMNS: Final = ("image", "url")
"""Field names that are taken for the image, if ``text_column`` is not given and there is no ``value_key``."""
SHORTENED: Final = " characters)"
"""The end of an embedded image that a CSV export shortened."""

ANY: Final = ChoiceQuestion("", "", "", "", (), multiple=True)
"""Takes the place of a question if no project is known: any label is accepted, one or several per item."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewTask:
    """A task to create. ``key`` is the `content_key` of its text or image, ``label`` a known answer or None."""

    data: dict[str, Any]
    label: str | None
    key: str
    where: str = ""
    """File and line or item number, for messages."""
    annotations: tuple[dict[str, Any], ...] = ()
    """People's answers, if the file has them in Label Studio's form; ``label`` is then the last of them."""
    predictions: tuple[dict[str, Any], ...] = ()
    meta: Any = None


@dataclass(frozen=True)
class TaskFields:
    """Which part of a row or object becomes a task, and for which project."""

    object_tag: str
    """The object tag of the labeling config: "Image" or "Text"."""
    value_key: str
    """The task data field that this tag shows; "text" for ``$text``."""
    label_column: str | None = None
    """The column or key that holds the label. Without it, labels come only from the annotations of Label Studio tasks,
    from folder names and from idx labels."""
    text_column: str | None = None
    """The column or key that holds the text or image; by default ``value_key``, otherwise a usual name."""
    question: ChoiceQuestion | None = None
    """What the project asks. Without it, the last answer to any question is the label."""

    @property
    def is_image(self) -> bool:
        """Whether the tasks show images."""
        return self.object_tag == IMAGE_TAG

    def pick(self, fields: Mapping[str, Any]) -> str:
        """The name of the field that holds the text or image.

        Raises:
            BadItemError: there is none.
        """
        usual = IMAGE_COLUMNS if self.is_image else TEXT_COLUMNS
        wanted: tuple[str, ...] = (self.text_column,) if self.text_column else (self.value_key, BLANK, *usual)
        for name in (*wanted, *(name.removeprefix(DATA_PREFIX) for name in wanted)):
            if name in fields or (name == self.value_key and field_value(fields, name) is not None):
                return name
        raise BadItemError(f'no "{self.text_column or self.value_key}"; fields: {", ".join(fields)[:200] or "none"}')


def content_key(value: str) -> str:
    """A stable key: equal content gives an equal key (SHA-256, 32 hex digits; outer spaces are ignored)."""
    return hashlib.sha256(value.strip().encode("utf-8", errors="surrogatepass")).hexdigest()[:32]


def read_tasks(
    path: Path,
    fields: TaskFields,
    *,
    labels_path: Path | None = None,
    problems: list[str] | None = None,
    remarks: Remarks | None = None,
) -> Iterator[NewTask]:
    """Read tasks from a file or folder, lazily.

    A CSV or TSV file needs a header row. A JSON file holds a list of Label Studio tasks or plain objects, or a single
    one; a JSONL file has one such object on each line, a text file one text or URL. The files of an image folder are
    embedded as data URIs; in ``<label>/<name>.png`` the folder is the label. An idx images file (or a folder with one)
    gets its labels from ``labels_path`` or from the file beside it. Other columns and keys are kept in the task's data,
    except the label's.

    Args:
        path: the file or folder.
        fields: what becomes a task.
        labels_path: the idx labels file.
        problems: collects a line for each item that was left out; without it, these are logged as warnings.
        remarks: collects what cannot be kept.

    Raises:
        DataError: the file or folder as a whole cannot be read.
    """
    items: Iterable[ImportItem | BadItemError]
    remarks = remarks or Remarks()
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_file() and path.suffix.lower() in TEXTS:
        items = _items(path, fields, remarks)
    elif not path.is_dir() and "idx" not in path.name:
        raise DataError(f"{path} is not a CSV, TSV, JSON, JSONL, TXT or idx file, nor a folder of images")
    elif not fields.is_image:
        raise DataError(f"{path} holds images, but the project's labeling config shows <{fields.object_tag}>")
    else:
        items = _images(path, labels_path)
    return _tasks(items, fields, remarks, logger.warning if problems is None else problems.append)


def _images(path: Path, labels_path: Path | None) -> Iterable[ImportItem | BadItemError]:
    idx_file = idx_images(path)
    return idx_pair(idx_file, labels_path) if idx_file else image_folder(path)


def _items(path: Path, fields: TaskFields, remarks: Remarks) -> Iterator[ImportItem | BadItemError]:
    _check_columns(path, fields)
    for where, row in rows_of(path):
        try:
            yield row if isinstance(row, BadItemError) else item_of(where, row, fields.question, remarks)
        except BadItemError as exc:
            yield exc


def _check_columns(path: Path, fields: TaskFields) -> None:
    """Refuse a table without the needed columns, because every one of its rows would be left out."""
    header = columns_of(path)
    if not header or is_export(header):
        return
    try:
        fields.pick(dict.fromkeys(header, ""))
    except BadItemError:
        missing: str | None = fields.text_column or fields.value_key
    else:
        missing = fields.label_column if fields.label_column and fields.label_column not in header else None
    if missing is not None:
        raise DataError(f'{path}, line 1: no column "{missing}"; the header row is {", ".join(header)[:200]}')


def _tasks(
    items: Iterable[ImportItem | BadItemError], fields: TaskFields, remarks: Remarks, report: Callable[[str], None]
) -> Iterator[NewTask]:
    for item in items:
        if isinstance(item, BadItemError):
            report(f"{item}; left out")
            continue
        try:
            yield _task(item, fields, remarks)
        except BadItemError as exc:
            report(f"{item.where}: {exc}; left out")


def _task(item: ImportItem, fields: TaskFields, remarks: Remarks) -> NewTask:
    """Make a task from an item.

    Raises:
        BadItemError: it has nothing to show, or its label is not one.
    """
    if item.is_task:
        remarks.lost.update(
            f'"{name}" beside the "data" of tasks' for name in item.columns if name != fields.label_column
        )
    if fields.label_column is not None and fields.label_column in item.columns:
        item = replace(item, label=item.columns[fields.label_column], annotations=())
    name = fields.pick(item.fields)
    value = _checked(field_value(item.fields, name), name, fields)
    label = _label(item, fields)
    if item.is_task and name == fields.value_key:
        data = dict(item.fields)
    else:
        kept = {key: kept for key, kept in item.fields.items() if key not in (name, fields.label_column)}
        data = with_field(kept, fields.value_key, value)
    return NewTask(data, label, content_key(str(value)), item.where, item.annotations, item.predictions, item.meta)


def _checked(value: Any, name: str, fields: TaskFields) -> Any:
    """Check and return what is shown: a text unchanged, a URL without surrounding white space."""
    what = "image" if fields.is_image else "text"
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadItemError(f'the {what} in "{name}" is empty')
    if fields.question is not None and fields.question.parts and not fields.question.shown_as:
        return value  # a list of pictures, or an object whose place numbers take: the page knows what it is
    if not fields.is_image and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if fields.question is not None and fields.question.markup == PARAGRAPHS and not fields.question.by_url:
        decoded_text(value, fields.question)
        return value
    if not isinstance(value, str):
        raise BadItemError(f'"{name}" holds a {type(value).__name__}, not the {what}')
    question = fields.question
    if fields.is_image or (question is not None and question.by_url):
        value = value.strip()
    if fields.is_image and value.startswith("data:") and value.endswith(SHORTENED):
        raise BadItemError(f'the image in "{name}" was shortened by an export; export with --full')
    if fields.is_image and not is_readable(value):
        raise BadItemError(f'"{value[:60]}" is not an image URL (to import image files, name their folder)')
    if question is not None and question.by_url and not is_readable(value):
        raise BadItemError(
            f'"{value[:60]}" is not a URL, but the labeling config asks for one; known kinds are {KINDS}'
        )
    if question is not None and question.encoding != "none" and not question.by_url:
        decoded_text(value, question)
    return value


def _label(item: ImportItem, fields: TaskFields) -> str | None:
    given = item.label
    if fields.label_column and not item.annotations and given is None:
        given = field_value(item.fields, fields.label_column)
    if given is None:
        return _annotated_label(item, fields.question)
    if (fields.question or ANY).multiple:
        found = set_in(given, fields.question or ANY)
        if found is None and str(given).strip():
            raise BadItemError("the label is neither a label nor a list of labels")
        return found
    if isinstance(given, dict | list):
        raise BadItemError("the label is not a single value")
    text, labels = str(given), fields.question.labels if fields.question else ()
    return text if text in labels else text.strip() or None


def _annotated_label(item: ImportItem, question: ChoiceQuestion | None) -> str | None:
    """The label of the last annotation that has one and was not cancelled."""
    for annotation in reversed(item.annotations):
        asked = question or _any_question(annotation["result"])
        label = read_answer(annotation["result"], asked).label if asked else None
        if label is not None and not annotation["was_cancelled"] and (question is None or is_listed(label, question)):
            return label
    return None


def _any_question(result: list[Any]) -> ChoiceQuestion | None:
    """The question that the first choice of a result answers, if no project says which question counts."""
    for region in result:
        if isinstance(region, dict) and isinstance(region.get("value"), dict) and "choices" in region["value"]:
            control: Any = region.get("from_name")  # None in results that name no control
            return replace(ANY, control=control)
    return None
