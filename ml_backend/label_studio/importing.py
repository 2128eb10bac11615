"""Import files read into new tasks: CSV, JSON, JSON Lines, folders of images, and idx pairs.

What is wrong with a whole file raises `DataError`. What is wrong with one item leaves that item out and is told in a
line with the file and the place; the rest is read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Final

from ml_backend.errors import BadItemError, DataError
from ml_backend.files import read_text
from ml_backend.label_studio.image_files import IMAGE_SUFFIXES, embedded_image, png_data_uri, read_idx

IMAGE_TAG: Final = "Image"
TEXT_COLUMNS: Final = ("text", "headline_text", "headline", "title")
"""Header names that are taken for the text, in this order."""
IMAGE_COLUMNS: Final = ("image", "url")
"""Field names that are taken for the image where ``text_column`` is not given and there is no ``value_key``."""
IMAGE_URLS: Final = ("http://", "https://", "data:image/", "/data/", "s3://", "gs://", "azure-blob://")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewTask:
    """A task to create. ``key`` is `content_key` of its text or image, ``label`` a known answer or None."""

    data: dict[str, Any]
    label: str | None
    key: str
    where: str = ""
    """File and line, or item number: for messages."""


@dataclass(frozen=True)
class _Item:
    """One item as found: where, its fields, the field that holds the text or image, its label."""

    where: str
    fields: Mapping[str, Any]
    field: str
    label: Any = None


@dataclass(frozen=True)
class _Fields:
    """Which fields of a row or object to read."""

    value_key: str
    text: str | None
    label: str | None
    is_image: bool

    def pick(self, names: Iterable[str]) -> str | None:
        """The name of the field that holds the text or image; None where there is none."""
        usual = IMAGE_COLUMNS if self.is_image else TEXT_COLUMNS
        wanted = (self.text,) if self.text else (self.value_key, *usual)
        present = set(names)
        return next((name for name in wanted if name in present), None)


def whole_characters(value: Any) -> Any:
    """JSON-like content, with U+FFFD in the place of half a character (a lone surrogate).

    Label Studio takes such a text and then fails on every page of tasks that shows it.
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {whole_characters(name): whole_characters(inner) for name, inner in value.items()}
    return [whole_characters(inner) for inner in value] if isinstance(value, list) else value


def content_key(value: str) -> str:
    """A stable key of a text or an image URI: equal content, equal key (SHA-256, 32 hex digits; outer spaces aside)."""
    return hashlib.sha256(value.strip().encode("utf-8", errors="surrogatepass")).hexdigest()[:32]


def read_tasks(
    path: Path,
    *,
    config_object_tag: str,
    value_key: str,
    label_column: str | None = None,
    text_column: str | None = None,
    labels_path: Path | None = None,
    problems: list[str] | None = None,
) -> Iterator[NewTask]:
    """Read tasks from a file or folder, lazily.

    A CSV (or TSV) file needs a header row; a JSON file holds a list of Label Studio tasks or of plain objects, a JSONL
    file one such object a line. An image folder's files are embedded as data URIs, ``<label>/<name>.png`` with its
    label. An idx images file (or a folder with one) takes the labels from ``labels_path`` or the file beside it.
    Other columns and keys are kept in the task's data, except the label's.

    Args:
        path: the file or folder.
        config_object_tag: the object tag of the labeling config, "Image" or "Text".
        value_key: the task data field that this tag shows (``$text`` is "text").
        label_column: the column or key that holds the label. Without it, only the annotations of Label Studio tasks,
            folder names and idx labels give labels.
        text_column: the column or key that holds the text or image; default ``value_key``, else a usual name.
        labels_path: the idx labels file.
        problems: takes a line for each item that was left out; without it, they are logged as warnings.

    Raises:
        DataError: the file or folder as a whole cannot be read.
    """
    kind = path.suffix.lower()
    wanted = _Fields(value_key, text_column, label_column, config_object_tag == IMAGE_TAG)
    items: Iterable[_Item | BadItemError]
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_file() and kind in (".csv", ".tsv"):
        items = _csv_rows(path, "\t" if kind == ".tsv" else ",", wanted)
    elif path.is_file() and kind == ".json":
        items = _objects(_json_list(path), wanted)
    elif path.is_file() and kind in (".jsonl", ".ndjson"):
        items = _objects(_json_lines(path), wanted)
    elif not path.is_dir() and "idx" not in path.name:
        raise DataError(f"{path} is none of CSV, TSV, JSON, JSONL, an idx file, or a folder of images")
    elif not wanted.is_image:
        raise DataError(f"{path} holds images, but the project's labeling config shows <{config_object_tag}>")
    else:
        idx_file = _idx_images(path)
        items = _idx_pair(idx_file, labels_path) if idx_file else _image_folder(path)
    return _tasks(items, wanted, logger.warning if problems is None else problems.append)


def _tasks(items: Iterable[_Item | BadItemError], wanted: _Fields, report: Callable[[str], None]) -> Iterator[NewTask]:
    for item in items:
        try:
            if isinstance(item, BadItemError):
                raise item
            value = _checked(item, wanted.is_image)
            if isinstance(item.label, (dict, list)):
                raise BadItemError(f"{item.where}: the label is not a single value")
        except BadItemError as exc:
            report(f"{exc}; left out")
            continue
        kept = {name: value for name, value in item.fields.items() if name not in (item.field, wanted.label)}
        data, value = whole_characters(kept), whole_characters(value)
        label = "" if item.label is None else whole_characters(str(item.label).strip())
        yield NewTask(data | {wanted.value_key: value}, label or None, content_key(value), item.where)


def _checked(item: _Item, is_image: bool) -> str:
    """The text or image URI of an item, without the white space around it."""
    value = item.fields.get(item.field)
    what = "image" if is_image else "text"
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadItemError(f'{item.where}: the {what} in "{item.field}" is empty')
    if not isinstance(value, str):
        raise BadItemError(f'{item.where}: "{item.field}" holds a {type(value).__name__}, not the {what}')
    if is_image and not value.strip().startswith(IMAGE_URLS):
        raise BadItemError(
            f'{item.where}: "{value.strip()[:60]}" is no image URL (to import image files, name their folder)'
        )
    return value.strip()


def _csv_rows(path: Path, delimiter: str, wanted: _Fields) -> Iterator[_Item | BadItemError]:
    rows = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        field = wanted.pick(header)
        needed = (field or wanted.text or wanted.value_key, wanted.label)
        missing = [name for name in needed if name and name not in header]
        if missing or field is None or len(set(header)) < len(header):
            problem = f'no column "{missing[0]}"' if missing else "two columns of one name"
            raise DataError(f"{path}, line 1: {problem}; the header row is {', '.join(header)[:200] or 'empty'}")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if row and len(row) != len(header):
                yield BadItemError(f"{where}: {len(row)} columns, but the header has {len(header)}")
            elif row:
                fields = dict(zip(header, row, strict=True))
                yield _Item(where, fields, field, fields[wanted.label] if wanted.label else None)
    except csv.Error as exc:
        raise DataError(f"{path}, line {rows.line_num}: not valid CSV ({exc})") from exc


def _json_list(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        items = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as exc:
        place = f", line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else ""
        hint = "; for one object a line, name the file .jsonl" if "Extra data" in str(exc) else ""
        raise DataError(f"{path}{place}: not valid JSON ({exc}){hint}") from exc
    if not isinstance(items, list):
        raise DataError(f"{path}, line 1: a {type(items).__name__}, but a list of tasks or objects is expected")
    return ((f"{path}, item {number}", item) for number, item in enumerate(items, start=1))


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                item = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as exc:
                item = BadItemError(f"{where}: not valid JSON ({exc})")
            yield where, item


def _objects(found: Iterable[tuple[str, Any]], wanted: _Fields) -> Iterator[_Item | BadItemError]:
    """Items of JSON objects; those of Label Studio tasks are in their "data"."""
    for where, item in found:
        if isinstance(item, BadItemError):
            yield item
            continue
        fields = item.get("data", item) if isinstance(item, dict) else None
        if not isinstance(fields, dict):
            yield BadItemError(f"{where}: not a JSON object")
            continue
        field = wanted.pick(fields)
        if field is None:
            yield BadItemError(f'{where}: no "{wanted.text or wanted.value_key}"')
            continue
        label = fields.get(wanted.label) if wanted.label else _annotated_label(item)
        yield _Item(where, fields, field, label)


def _annotated_label(task: Mapping[str, Any]) -> str | None:
    """The single choice of a Label Studio task's last annotation that has one and was not cancelled."""
    for annotation in reversed(_dicts(task.get("annotations"))):
        values = [result.get("value") for result in _dicts(annotation.get("result"))]
        choices = [value.get("choices") for value in values if isinstance(value, dict)]
        single = [found[0] for found in choices if isinstance(found, list) and len(found) == 1]
        if single and not annotation.get("was_cancelled"):
            return str(single[0])
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _image_folder(folder: Path) -> Iterator[_Item | BadItemError]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in paths):
        raise DataError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}), in it or in folders below it")
    for path in paths:
        try:
            fields = {"": embedded_image(path), "file": path.name}
            yield _Item(str(path), fields, "", path.parent.name if path.parent != folder else None)
        except BadItemError as exc:
            yield exc


def _idx_images(path: Path) -> Path | None:
    """The idx images file that is meant; None where a folder holds none."""
    if path.is_file():
        return path
    found = sorted(
        entry for entry in path.iterdir() if entry.is_file() and "images" in entry.name and "idx3" in entry.name
    )
    if len({entry.name.removesuffix(".gz") for entry in found}) > 1:
        raise DataError(f"{path} holds {', '.join(entry.name for entry in found)}; name one of these files")
    return found[0] if found else None


def _idx_pair(path: Path, labels_path: Path | None) -> Iterator[_Item | BadItemError]:
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels_path is None and beside != path and beside.is_file():
        labels_path = beside
    images = read_idx(path)
    if images.ndim != 3:
        raise DataError(f"{path} holds labels; name the file of the images")
    labels = read_idx(labels_path).tolist() if labels_path else None
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{labels_path} holds {len(labels):,} labels for the {len(images):,} images of {path}")
    for number, (image, label) in enumerate(zip(images, labels or repeat(None), strict=False), start=1):
        fields = {"": png_data_uri(image), "file": f"{path.name}#{number}"}
        yield _Item(f"{path}, image {number}", fields, "", label)
