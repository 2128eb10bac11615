"""The grocery photographs of Klasson, Zhang & Kjellström 2019 (https://arxiv.org/abs/1901.00711): files and a table.

Their authors set a part apart to judge on: successive shots of one shelf are all in it, or all outside.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ml_backend.errors import DataError
from ml_backend.files import read_text

TABLE: Final = "groceries.csv"
FOLDER: Final = "groceries"
COLUMNS: Final = ("path", "label", "official_split")
TEST: Final = "test"


@dataclass(frozen=True, slots=True)
class Photograph:
    """One file of the table."""

    path: str
    """Below ``FOLDER``, with slashes."""
    label: str
    test: bool
    """Whether it is one to judge on."""


def holds_photographs(directory: Path) -> bool:
    """Whether the table is there."""
    return (directory / TABLE).is_file()


def read_photographs(directory: Path) -> list[Photograph]:
    """The rows of the table, none of whose files is opened.

    Raises:
        DataError: the table is missing, empty or malformed, or names a file that is not below the folder.
    """
    table = directory / TABLE
    if not table.is_file():
        raise DataError(f"No grocery photographs ({TABLE}: {', '.join(COLUMNS)}) in {directory}; see --data")
    rows = list(csv.DictReader(io.StringIO(read_text(table), newline="")))
    if not rows or any(not row.get(column) for row in rows for column in COLUMNS):
        raise DataError(f"{table}: each row needs {', '.join(COLUMNS)}")
    for number, row in enumerate(rows, start=2):
        path = PurePosixPath(row["path"])
        if path.is_absolute() or ".." in path.parts or not (directory / FOLDER / path).is_file():
            raise DataError(f'{table}, row {number}: no file "{row["path"]}" in {directory / FOLDER}')
    return [Photograph(row["path"], row["label"], row["official_split"] == TEST) for row in rows]
