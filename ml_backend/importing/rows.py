"""Reads text files into rows with their places: CSV with any usual separator, JSON, JSON Lines, plain lines.

An unreadable row becomes a `BadItemError` in its place, and the others are read. Label Studio's own import accepts the
same kinds of file (its `data_import/models.py`), but refuses the whole file if one row is bad.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ml_backend.bounded_json import MOST_DIGITS
from ml_backend.errors import BadItemError, DataError
from ml_backend.files import read_text

Row = Mapping[str, Any] | BadItemError
Cells = Iterator[tuple[int, list[str] | str]]
"""Rows of a table with the number of their first line; a text instead of the cells says why a row cannot be read."""
TABLES: Final = (".csv", ".tsv")
LINES: Final = (".jsonl", ".ndjson")
TEXTS: Final = (*TABLES, *LINES, ".json", ".txt")
"""Endings of the files that can be read."""
SEPARATORS: Final = (",", ";", "\t")
TOLD: Final = "sep="
LONGEST_CELL: Final = 2**31 - 1
"""Characters. By default Python's csv reads only 131,072, less than an embedded picture."""
DEEPEST: Final = 100
"""How deep lists and objects may be nested in a row."""
BLANK: Final = ""
"""Name of the field that holds a line of a text file."""


def rows_of(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a file, each with its place: the file and line, or the number of the item.

    Raises:
        DataError: the file as a whole cannot be read.
    """
    kind, text = path.suffix.lower(), read_text(path)
    if kind in TABLES:
        return _table(path, text, "\t" if kind == ".tsv" else separator_of(text))
    if kind == ".json":
        return _json_items(path, text)
    return _json_lines(path, text) if kind in LINES else _plain_lines(path, text)


def columns_of(path: Path) -> tuple[str, ...]:
    """The header row of a table; empty for other files.

    Raises:
        DataError: the file cannot be read.
    """
    if not path.is_file() or path.suffix.lower() not in TABLES:
        return ()
    text = read_text(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else separator_of(text)
    return tuple(_header(_cells(list(io.StringIO(text, newline="")), separator)))


def separator_of(text: str) -> str:
    """The separator of a table's columns: of comma, semicolon and tab the most frequent one in its first line.

    A spreadsheet may also state it in a line before everything else: ``sep=;``.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    if (told := first.strip()[len(TOLD) :]) in SEPARATORS and first.startswith(TOLD):
        return told
    return max(SEPARATORS, key=first.count)  # the comma, if there is a tie


def _table(path: Path, text: str, separator: str) -> Iterator[tuple[str, Row]]:
    found = _cells(list(io.StringIO(text, newline="")), separator)
    header = _header(found)
    problem = "two columns of one name" if len(set(header)) < len(header) else "" if any(header) else "no header row"
    if problem:
        raise DataError(f"{path}, line 1: {problem}; the header row is {', '.join(header)[:200] or 'empty'}")
    return _named(path, header, found)


def _header(found: Cells) -> list[str]:
    """The names of the columns.

    One without a name (pandas writes its index like that) gets the name that pandas gives it.
    """
    for _, row in found:
        if not isinstance(row, list):
            return []
        names = [name.strip() for name in row]
        if any(names) and not (len("".join(names)) <= len(TOLD) + 1 and names[0].startswith(TOLD)):
            return [name or f"Unnamed: {place}" for place, name in enumerate(names)]
    return []


def _named(path: Path, header: Sequence[str], found: Cells) -> Iterator[tuple[str, Row]]:
    for line, cells in found:
        where = f"{path}, line {line}"
        if isinstance(cells, str):
            yield where, BadItemError(f"{where}: {cells}")
        elif cells and len(cells) != len(header):
            yield where, BadItemError(f"{where}: {len(cells)} columns, but the header has {len(header)}")
        elif cells:
            yield where, dict(zip(header, cells, strict=True))


def _cells(lines: Sequence[str], separator: str) -> Cells:
    """The rows of a table. An unclosed quote would swallow all following lines, so only its own line is left out."""
    csv.field_size_limit(LONGEST_CELL)
    start = 0
    while start < len(lines):
        begun = start
        reader = csv.reader((lines[place] for place in range(start, len(lines))), delimiter=separator, strict=True)
        try:
            for row in reader:
                yield begun + 1, row
                begun = start + reader.line_num
        except csv.Error:
            yield begun + 1, _alone(lines[begun], separator)
            start = begun + 1
        else:
            return


def _alone(line: str, separator: str) -> list[str] | str:
    """The cells of a line with misplaced quotes, read as other readers do."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as exc:
        if "end of data" in str(exc):
            return "a quote is opened and never closed"
    return next(csv.reader([line], delimiter=separator), [])


def _json_items(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    try:
        items = _parsed(text)
    except ValueError as exc:
        place = f", line {exc.lineno}, column {exc.colno}" if isinstance(exc, json.JSONDecodeError) else ""
        hint = "; for one object a line, name the file .jsonl" if "Extra data" in str(exc) else ""
        raise DataError(f"{path}{place}: not valid JSON ({exc}){hint}") from exc
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        raise DataError(f"{path}, line 1: a {type(items).__name__}, but a list of tasks or objects is expected")
    return _checked((f"{path}, item {number}", item) for number, item in enumerate(items, start=1))


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    return _checked(_objects_of_lines(path, text))


def _objects_of_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                yield where, _parsed(line)
            except ValueError as exc:
                yield where, BadItemError(f"{where}: not valid JSON ({exc})")


def _plain_lines(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(io.StringIO(text), start=1):
        if line.strip():
            yield f"{path}, line {number}", {BLANK: line.strip("\r\n")}


def _parsed(text: str) -> Any:
    """Parse JSON. Numbers that JSON does not allow become infinite, so that only their row is refused, not the file.

    Raises:
        ValueError: it is not JSON, or nested too deep for Python.
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_int=_whole)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf


def _no_number(name: str) -> float:
    return math.nan if name == "NaN" else math.inf


def _checked(found: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Row]]:
    for where, item in found:
        if isinstance(item, BadItemError):
            yield where, item
        elif not isinstance(item, dict):
            yield where, BadItemError(f"{where}: not a JSON object")
        elif (problem := _problem(item)) is not None:
            yield where, BadItemError(f"{where}: {problem}")
        else:
            yield where, item


def _problem(item: Any) -> str | None:
    """Why Label Studio cannot store a value; None if it can."""
    level = [item]
    for _ in range(DEEPEST):
        if not level:
            return None
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                return "it has a number that JSON does not allow (NaN, Infinity) or that is too large"
            texts = value if isinstance(value, dict) else [value]
            if any(isinstance(text, str) and not _is_whole(text) for text in texts):
                return "it has a text with half a character (a lone surrogate), on which Label Studio fails"
        level = [inner for value in level for inner in _inside(value)]
    return f"it is nested deeper than {DEEPEST} levels"


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
