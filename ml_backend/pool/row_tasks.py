"""What a row's task holds: what people see of it, and the row's id."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from ml_backend.encoders.pictures import header, thumbnail
from ml_backend.errors import BadItemError
from ml_backend.label_studio.task_fields import with_field
from ml_backend.pool.announce import ROW_FIELD
from ml_backend.pool.document import Pool
from ml_backend.pool.source import Source

MOST_BYTES: Final = 1_000_000
"""Of a picture that is embedded as it is; of a larger one a small copy is: task lists would be slow."""


def task_data(row: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a row's task.

    Args:
        row: its id.
        content: task field → text, or a picture's bytes.

    Raises:
        BadItemError: a picture cannot be read.
    """
    data: dict[str, Any] = {}
    for name, value in content.items():
        data = with_field(data, name, _embedded(value) if isinstance(value, bytes) else value)
    return {**data, ROW_FIELD: row}


def picture_data(source: Source, rows: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Id of each row → the data of its task, and those that are left out, each with the reason.

    Raises:
        DataError: the pool cannot be read.
    """
    found = source.rows(rows) if rows else {}
    made: dict[str, dict[str, Any]] = {}
    lost: list[str] = []
    for row in rows:
        content = found.get(row)
        if content is None or None in content.values():
            lost.append(f"{row} (it is gone)")
            continue
        try:
            made[row] = task_data(row, content)
        except BadItemError as exc:
            lost.append(f"{row} ({exc})")
    return made, lost


def candidate_data(pool: Pool, rows: Sequence[str]) -> list[dict[str, Any] | None]:
    """What the task of each candidate would hold: nothing yet of pictures, None of a text that is gone.

    Raises:
        DataError: the pool cannot be read.
    """
    if pool.is_pictures:
        return [{} for _ in rows]
    source = Source(pool)
    source.check()
    found = source.rows(rows)
    return [task_data(row, found[row]) if row in found else None for row in rows]


def chosen_data(
    pool: Pool, chosen: Mapping[int, tuple[str, Mapping[str, Any]]]
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Number of each chosen row → the data of its task, and the pictures that are left out, each with the reason.

    Args:
        pool: where they lie.
        chosen: number of a row → its id, and its `candidate_data`.

    Raises:
        DataError: the pool cannot be read.
    """
    if not pool.is_pictures:
        return {key: dict(data) for key, (_, data) in chosen.items()}, []
    made, lost = picture_data(Source(pool), [row for row, _ in chosen.values()])
    return {key: made[row] for key, (row, _) in chosen.items() if row in made}, lost


def _embedded(raw: bytes) -> str:
    """The data URI of a picture."""
    small = thumbnail(raw)  # all of it is decoded: what is damaged shows here, not to annotators
    if len(raw) > MOST_BYTES:
        raw = small
    return f"data:{Image.MIME[header(raw).format]};base64,{base64.b64encode(raw).decode('ascii')}"
