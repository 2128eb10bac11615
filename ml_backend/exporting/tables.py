"""Rows as CSV, JSON and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ml_backend.exporting.answers import PREFIX
from ml_backend.exporting.rows import COLUMNS
from ml_backend.importing.items import DATA_PREFIX

SHORT_URI: Final = 40


def csv_text(rows: Sequence[Mapping[str, Any]], *, full: bool = False) -> str:
    """The rows as CSV, with a column ``answer.<control>`` per answer and ``data.<field>`` per data field."""
    controls = list(dict.fromkeys(name for row in rows for name in row.get("answers", ())))
    fields = list(dict.fromkeys(name for row in rows for name in row["data"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *(PREFIX + name for name in controls), *(DATA_PREFIX + name for name in fields)])
    for row in rows:
        data = [_cell(row["data"].get(name), full=full) for name in fields]
        answers = [_cell(row["answers"][name], full=True) for name in controls]
        writer.writerow([*(_cell(row[name], full=True) for name in COLUMNS), *answers, *data])
    return buffer.getvalue()


def json_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as one JSON list."""
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """One row per line. Only a line feed ends a line: readers that split at other characters would break texts."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _cell(value: Any, *, full: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not full and value.startswith("data:") and len(value) > SHORT_URI:
        return f"{value[:SHORT_URI]}... ({len(value):,} characters)"
    return value
