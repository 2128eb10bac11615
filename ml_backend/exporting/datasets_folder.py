"""Writes rows as a folder for Hugging Face's ``datasets``: JSON Lines by split, images beside them, a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from ml_backend.encoders.pictures import header
from ml_backend.errors import BadItemError, DataError
from ml_backend.exporting.answers import PREFIX, Controls
from ml_backend.exporting.rows import COLUMNS
from ml_backend.exporting.tables import json_lines
from ml_backend.files import Staged
from ml_backend.importing.items import DATA_PREFIX
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_rows import TIME_FORMAT, parse_time

SPLITS: Final = ("train", "control", "evaluation")
CLASSES: Final = ("label", "consensus_label", "guess", "predicted_label")
TYPES: Final = {
    "task_id": "int64",
    "annotation_id": "int64",
    "created_at": "timestamp[us, tz=UTC]",
    "updated_at": "timestamp[us, tz=UTC]",
    "lead_time": "float64",
    "place": "int64",
    "probability": "float64",
} | dict.fromkeys(("tied", "skipped", "ground_truth", "guess_shown"), "bool")
"""Types of the columns that are not texts. A task's own field has the type of all its values."""
SUFFIXES: Final = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
UNKNOWN: Final = ".img"
READ_IMAGE = Callable[[Mapping[str, Any]], bytes]
"""Reads the image of a row."""


def write_dataset(
    folder: Staged,
    rows: Sequence[Mapping[str, Any]],
    classes: Mapping[str, ChoiceQuestion],
    *,
    title: str,
    field: str = "",
    read_image: READ_IMAGE | None = None,
) -> None:
    """Fill a folder.

    Args:
        folder: an empty folder.
        rows: see `rows.annotation_rows`.
        classes: column → the question whose classes it holds, see `classes_of`.
        title: the project's title.
        field: task data field of the images that ``read_image`` returns.
        read_image: returns the images, which are written beside the rows; without it, rows keep what the tasks hold.

    Raises:
        DataError: there are no rows.
    """
    if not rows:
        raise DataError("There are no annotations to export yet: a data set without rows could not be loaded.")
    flat = [_flat(row, classes) for row in rows]
    if read_image is not None:
        for row, source in zip(flat, rows, strict=True):
            row.pop(field, None)
            row["file_name"] = _write_image(folder, source, read_image(source))
    columns = list(dict.fromkeys(name for row in flat for name in row))
    for row in flat:
        row |= {name: None for name in columns if name not in row}
    splits = [split for split in SPLITS if any(row["split"] == split for row in flat)]
    for split in splits:
        part = [row for row in flat if row["split"] == split]
        path = folder / "data" / split / ("metadata.jsonl" if read_image else "rows.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json_lines(part), encoding="utf-8", newline="\n")
    card = _card(flat, columns, splits, classes, title, with_images=read_image is not None)
    (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")


def _flat(row: Mapping[str, Any], classes: Mapping[str, ChoiceQuestion]) -> dict[str, Any]:
    """A row with its answers and the task's fields as columns. A field keeps its own name unless that is taken.

    Values whose type differs between rows become JSON.
    """
    answers = {PREFIX + name: value for name, value in row.get("answers", {}).items()}
    taken = {*COLUMNS, *answers}
    data = {name if name not in taken else DATA_PREFIX + name: value for name, value in row["data"].items()}
    plain = {
        name: value if isinstance(value, str | int | float | bool | None) else json.dumps(value, ensure_ascii=False)
        for name, value in (answers | data).items()
        if name not in classes
    }
    texts = {"annotator": None if row["annotator"] is None else str(row["annotator"])}
    # Always with all digits: otherwise readers would take some of them for times and others for texts.
    texts |= {name: parse_time(row[name]).strftime(TIME_FORMAT) for name in ("created_at", "updated_at")}
    own = {name: row[name] for name in COLUMNS} | texts | answers
    return own | plain


def _write_image(folder: Staged, row: Mapping[str, Any], content: bytes) -> str:
    name = f"{row['task_id']}-{row['annotation_id']}{suffix_of(content)}"
    path = folder / "data" / row["split"] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def suffix_of(content: bytes) -> str:
    """The file ending by which other programs recognise an image; `UNKNOWN` if it is not an image that we read."""
    try:
        return SUFFIXES[header(content).format]
    except BadItemError:
        return UNKNOWN


def _card(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    splits: Sequence[str],
    classes: Mapping[str, ChoiceQuestion],
    title: str,
    *,
    with_images: bool,
) -> str:
    """The dataset card, which describes the columns for programs and for people."""
    head = _image_configs(splits) if with_images else [*_text_config(splits), *_features(rows, columns, classes)]
    counts = ", ".join(f"{sum(row['split'] == split for row in rows):,} in `{split}`" for split in splits)
    told = TOLD.format(counts=counts) + (LOADING_IMAGES if with_images else "")
    return "\n".join(["---", *head, "---", "", f"# {_one_line(title)}", "", told])


def _text_config(splits: Sequence[str]) -> list[str]:
    lines = ["configs:", "- config_name: default", "  data_files:"]
    for split in splits:
        lines += [f"  - split: {split}", f"    path: data/{split}/rows.jsonl"]
    return lines


def _image_configs(splits: Sequence[str]) -> list[str]:
    """One configuration per split, because within one configuration `datasets` wants every column to have values."""
    lines = ["configs:"]
    for number, split in enumerate(splits):
        lines += [f"- config_name: {split}", "  data_files:", f"  - split: {split}", f"    path: data/{split}/**"]
        lines += ["  default: true"] if number == 0 else []
    return lines


def _features(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], classes: Mapping[str, ChoiceQuestion]
) -> list[str]:
    lines = ["dataset_info:", "  features:"]
    for name in columns:
        question = classes.get(name)
        kind = _dtype(name, rows) if question is None else _class_dtype(question, _labels(rows, question, classes))
        lines += [f"  - name: {_quoted(name)}", *kind]
    return lines


def _labels(
    rows: Sequence[Mapping[str, Any]], question: ChoiceQuestion, classes: Mapping[str, ChoiceQuestion]
) -> list[str]:
    """The question's labels, followed by labels that were given although the config does not list them."""
    own = [name for name, each in classes.items() if each.control == question.control]
    told = [row[name] for row in rows for name in own if row.get(name) is not None]
    given = {label for labels in told for label in (labels if isinstance(labels, list) else [labels])}
    return [*question.labels, *sorted(given - set(question.labels))]


def classes_of(question: ChoiceQuestion | None, controls: Controls) -> dict[str, ChoiceQuestion]:
    """Column of a flat row → the question whose classes it holds."""
    first = {} if question is None else dict.fromkeys(CLASSES, question)
    return first | {PREFIX + name: controls.learnt[name] for name in controls.names if name in controls.learnt}


def _class_dtype(question: ChoiceQuestion, labels: Iterable[str]) -> list[str]:
    """The type of a class, or of a list of classes."""
    names = [f"        '{number}': {_quoted(label)}" for number, label in enumerate(labels)]
    if question.multiple:
        return ["    sequence:", "      class_label:", "        names:", *(f"  {line}" for line in names)]
    return ["    dtype:", "      class_label:", "        names:", *(f"  {line}" for line in names)]


def _dtype(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if name in COLUMNS:
        return [f"    dtype: {TYPES.get(name, 'string')}"]
    kinds = {type(row[name]) for row in rows if row[name] is not None}
    if kinds == {bool}:
        return ["    dtype: bool"]
    if kinds == {int}:
        return ["    dtype: int64"]
    return ["    dtype: float64"] if kinds and kinds <= {int, float} else ["    dtype: string"]


def _quoted(text: str) -> str:
    """A text as YAML; JSON strings are valid YAML."""
    return json.dumps(text)


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "Annotations"


TOLD: Final = """\
Annotations of one Label Studio project, one row for each: {counts}.

- `train` is what models learn from; most of it was chosen by a strategy, so it is no random sample.
- `control` was drawn at random and shown without a guess, `evaluation` was held out: measure on these.
- Rows that were skipped have no `label`. Where the page asks more than one question, `answer.<name>` has each answer,
  and `label` is the first of those that are learnt. `consensus_label` is what the people of a task agree on; a tie
  has none.
- `strategy`, `share`, `place`, `queue` and `model_version` say what an annotation was asked under, `guess` and
  `probability` what the model thought of the task then; people saw it where `guess_shown` is true.
"""
LOADING_IMAGES: Final = """
Each split is a configuration of its own: `load_dataset(folder, "control")`.
"""
