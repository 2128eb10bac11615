"""Finds the column of a file that holds the labels: by its name, or by asking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ml_backend.errors import BadItemError, DataError
from ml_backend.importing.items import is_plain
from ml_backend.importing.rows import TEXTS, rows_of
from ml_backend.label_studio.answers import is_listed, set_in
from ml_backend.label_studio.labeling_config import ChoiceQuestion

CERTAIN: Final = "label"
"""A column of this name holds the labels, whatever it contains."""
USUAL: Final = ("labels", "class", "category", "target")
"""Columns of these names (or of the question's name) do, if one of their values is a label of the project."""


def label_column(path: Path, question: ChoiceQuestion, text_column: str | None) -> str | None:
    """The column or key of the labels; None if nothing looks like it.

    Raises:
        DataError: no column has a usual name, but one holds only labels of the project.
    """
    if not path.is_file() or path.suffix.lower() not in TEXTS:
        return None
    hits, misses = _fitting(path, question)
    names = {name.lower(): name for name in reversed((*hits, *misses))}
    if CERTAIN in names:
        return names[CERTAIN]
    for usual in (question.control.lower(), *USUAL):
        if names.get(usual) in hits:
            return names[usual]
    shown = {question.field, text_column}
    if alike := [name for name in hits if name not in misses and name not in shown]:
        raise DataError(
            f'{path}: which column holds the labels? "{alike[0]}" looks like it, because it holds nothing but labels '
            f'of the project: give --label-column "{alike[0]}", or --label-column "" to import without labels'
        )
    return None


def _fitting(path: Path, question: ChoiceQuestion) -> tuple[dict[str, None], dict[str, None]]:
    """Columns with a value that is a label of the project, and columns with one that is not."""
    hits: dict[str, None] = {}
    misses: dict[str, None] = {}
    for name, value in _values(path):
        if question.multiple:
            if value not in (None, ""):
                (hits if is_listed(set_in(value, question), question) else misses)[name] = None
        elif isinstance(value, dict | list):
            misses[name] = None
        elif value not in (None, ""):
            known = str(value) in question.labels or str(value).strip() in question.labels
            (hits if known else misses)[name] = None
    return hits, misses


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    for _, row in rows_of(path):
        if not isinstance(row, BadItemError) and is_plain(row):
            yield from row.items()
