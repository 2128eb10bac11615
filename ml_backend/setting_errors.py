"""What is wrong with settings, in one line: names and reasons, never the values (one of them may be a token)."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

UNKNOWN = "extra_forbidden"
"""What pydantic calls a name that it does not know."""


def explain(exc: ValidationError, known: Iterable[str], *, upper: bool = False) -> str:
    """A pydantic error in one line.

    Args:
        exc: the error.
        known: the settings' names, of which one near an unknown name is proposed.
        upper: write names as the environment does.
    """
    names, parts = list(known), []
    for error in exc.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in error["loc"]) or "value"
        if error["type"] == UNKNOWN:
            near = get_close_matches(name.lower(), names, n=1)
            reason = "no setting has this name" + "".join(f"; did you mean {_cased(found, upper)}?" for found in near)
        else:
            reason = error["msg"].removeprefix("Value error, ")
        parts.append(f"{_cased(name, upper)}: {reason}")
    return "; ".join(parts)


def _cased(name: str, upper: bool) -> str:
    return name.upper() if upper else name
