"""Fields of a task's data as a labeling config names them: ``text``, ``meta.text``, ``texts[0]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

FIELD: Final = re.compile(r"\$([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+|\[[0-9]{1,9}\])*)")
"""Exactly one field of a task. The page knows only ASCII letters: it reads ``$my-text`` as ``$my``."""
VARIABLE: Final = re.compile(r"\$[A-Za-z0-9_\[\].{}]+")
"""What the page replaces by a task's data, wherever it occurs."""
PART: Final = re.compile(r"[^.\[\]]+")


def field_value(data: Mapping[str, Any], field: str) -> Any:
    """The value of a field; None if the task has none.

    As on the page, a field of exactly this name comes first, then the path along its parts.
    """
    if data.get(field) is not None:
        return data[field]
    value: Any = data
    for part in PART.findall(field):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def with_field(data: Mapping[str, Any], field: str, value: Any) -> dict[str, Any]:
    """The data with this value in this field; missing parts of the path are created."""
    if field in data or field == top_field(field):
        return {**data, field: value}
    changed: Any = _put(dict(data), PART.findall(field), value)
    return dict(changed)


def top_field(field: str) -> str:
    """The task's own field that a field lies in: Label Studio's tables have one column for each of those."""
    return PART.findall(field)[0] if PART.search(field) else field


def _put(inside: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    if first.isdecimal() and not isinstance(inside, Mapping):
        entries = list(inside) if isinstance(inside, list) else []
        entries += [""] * (int(first) + 1 - len(entries))
        entries[int(first)] = _put(entries[int(first)], rest, value)
        return entries
    fields = dict(inside) if isinstance(inside, Mapping) else {}
    return {**fields, first: _put(fields.get(first), rest, value)}
