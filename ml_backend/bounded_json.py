"""JSON of bounded size: few enough values, not too deep, finite numbers, texts that UTF-8 can hold.

What Python's own reader takes costs memory out of all proportion (57 MB of ``[]``), raises RecursionError, and lets NaN
and halves of surrogate pairs through, which fail only later, where nobody knows any more whence they came.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MEGABYTE: Final = 1024 * 1024
MOST_DIGITS: Final = 400
"""Of one number, with its sign, point and exponent."""


class JsonTooLarge(ValueError):
    """More than is read. Its text goes on after "The request's body", or a file's name."""


class JsonMalformed(ValueError):
    """No JSON, or none that may be read; its text as above."""


@dataclass(frozen=True)
class JsonBounds:
    """How much is read."""

    nodes: int = 1_000_000
    """Values, counted by their separators before anything is parsed: each costs memory, however few bytes it has."""
    depth: int = 50
    """Nested lists and objects."""
    text: int = 16 * MEGABYTE
    """Characters of one text; a picture may be a text, as a data URI."""
    name: int = 10_000
    """Characters of a field's name."""


BOUNDS: Final = JsonBounds()


def read_json(content: bytes | str, bounds: JsonBounds = BOUNDS) -> Any:
    """JSON within bounds.

    Raises:
        JsonTooLarge: too many values, too deep, too long. JsonMalformed: no JSON, or not of this kind.
    """
    body = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if sum(map(body.count, (b",", b"[", b"{"))) > bounds.nodes:
        raise JsonTooLarge(f"holds more than {bounds.nodes:,} values")
    try:
        found = json.loads(body, parse_int=_whole, parse_float=_finite, parse_constant=_no_constant)
    except (JsonTooLarge, JsonMalformed):
        raise
    except RecursionError:
        raise _too_deep(bounds) from None
    except ValueError:  # also where it is not UTF-8
        raise JsonMalformed("is no JSON") from None
    check_content(found, bounds)
    return found


def check_content(content: Any, bounds: JsonBounds = BOUNDS) -> None:
    """Refuse what is nested too deep, or holds a text that is too long or that UTF-8 cannot hold.

    Raises:
        JsonTooLarge, JsonMalformed.
    """
    level = [content]
    for _ in range(bounds.depth + 1):
        level = [inner for value in level for inner in _inside(value, bounds)]
        if not level:
            return
    raise _too_deep(bounds)


def _inside(value: Any, bounds: JsonBounds) -> Iterator[Any]:
    """Values in a value; texts are checked."""
    if isinstance(value, str):
        _check_text(value, bounds.text)
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, Mapping):
        for name in value:
            _check_text(name, bounds.name)
        yield from value.values()


def _check_text(text: str, longest: int) -> None:
    if len(text) > longest:
        raise JsonTooLarge(f"has a text of {len(text):,} characters; at most {longest:,}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise JsonMalformed("has a text with half of a surrogate pair, which UTF-8 cannot hold") from None


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise JsonMalformed(f"has a number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits) if len(digits) <= MOST_DIGITS else math.inf
    if not math.isfinite(number):
        raise JsonMalformed("has a number that is too large, or has too many digits")
    return number


def _no_constant(name: str) -> float:
    raise JsonMalformed(f"has {name}, which is no JSON number")


def _too_deep(bounds: JsonBounds) -> JsonTooLarge:
    return JsonTooLarge(f"is nested deeper than {bounds.depth} levels")
