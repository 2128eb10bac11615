"""What is wrong with settings, in our own words and in one line: names and reasons, never the values.

A value may be a token. pydantic would say "Input should be a valid integer".
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

UNKNOWN: Final = "extra_forbidden"
"""What pydantic calls a name that it does not know."""
WHOLE: Final = "a whole number"
NUMBER: Final = "a number"
KINDS: Final[Mapping[str, str]] = {
    "int": WHOLE,
    "float": NUMBER,
    "finite_number": NUMBER,
    "greater_than": NUMBER,
    "less_than": NUMBER,
    "bool": "true or false",
    "string": "a text",
    "dict": 'an object, such as {"name": 1}',
    "path": "the path of a file or folder",
}
"""How an error's type begins → what is wanted."""
BOUNDS: Final[Mapping[str, str]] = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "to below {}"}
"""Attribute of a bound, as `annotated_types` and pydantic call it → in words."""
LENGTHS: Final[Mapping[str, str]] = {
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_short": "must have at least {min_length} characters",  # of a secret
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
}
"""An error's type → a sentence, with what pydantic tells of it."""


def explain(exc: ValidationError, fields: Mapping[str, FieldInfo], *, upper: bool = False) -> str:
    """A pydantic error in one line.

    Args:
        exc: the error.
        fields: the settings, of which one near an unknown name is proposed.
        upper: write names as the environment does.
    """
    parts = []
    for error in exc.errors(include_input=False, include_url=False):
        place = [str(part) for part in error["loc"] if part != "[key]"]
        name = ".".join(place) or "value"
        reason = _unknown(name, fields, upper) if error["type"] == UNKNOWN else _sentence(error, place, fields)
        parts.append(f"{_cased(name, upper)}: {reason}")
    return "; ".join(parts)


def _cased(name: str, upper: bool) -> str:
    return name.upper() if upper else name


def _unknown(name: str, fields: Mapping[str, FieldInfo], upper: bool) -> str:
    near = get_close_matches(name.lower(), list(fields), n=1)
    return "no setting has this name" + "".join(f"; did you mean {_cased(found, upper)}?" for found in near)


def _sentence(error: ErrorDetails, place: list[str], fields: Mapping[str, FieldInfo]) -> str:
    kind, about = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(about["error"])
    if kind in LENGTHS:
        return LENGTHS[kind].format(**about)
    field = fields.get(place[0]) if len(place) == 1 else None
    wanted = next((words for prefix, words in KINDS.items() if kind.startswith(prefix)), None)
    if wanted is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}"
    if wanted == NUMBER and field is not None and field.annotation is int:
        wanted = WHOLE
    if wanted not in (WHOLE, NUMBER):
        return f"must be {wanted}"
    return " ".join(("must be", wanted, *_bounds(field, about)))


def _bounds(field: FieldInfo | None, about: Mapping[str, Any]) -> list[str]:
    """Between which values a number may lie: those of the setting, else the one that was passed."""
    own = [(name, getattr(each, name, None)) for each in (field.metadata if field else ()) for name in BOUNDS]
    known = {name: value for name, value in (own or about.items()) if name in BOUNDS and value is not None}
    told = [words.format(f"{known[name]:,.10g}") for name, words in BOUNDS.items() if name in known]
    return [told[0].replace("to", "up to", 1)] if told and told[0].startswith("to") else told
