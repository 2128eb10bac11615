"""Answers of several labels: one text for each set, so that all who keep, count and compare answers go on with texts.

The labels of a set stand in the order of the labeling config, with U+001F between them, which XML 1.0 has no way to
write: no label of a config can hold it. The empty set is the empty text, which is no label either. So a label alone is
the set of itself, whether a question takes one choice or several.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

SEPARATOR: Final = "\x1f"
NONE_SHOWN: Final = "(none)"
"""What people read for the empty set."""


def pack(chosen: Collection[str], labels: Sequence[str]) -> str:
    """The text for a set of labels; those that the question does not list come last, as they came."""
    known = set(labels)
    return SEPARATOR.join(
        [label for label in labels if label in chosen]
        + list(dict.fromkeys(label for label in chosen if label not in known))
    )


def unpack(answer: str) -> tuple[str, ...]:
    """The labels of a set."""
    return tuple(answer.split(SEPARATOR)) if answer else ()


def shown(answer: str) -> str:
    """A set as people read it: ``World, quoted``; a label alone as it is."""
    return answer.replace(SEPARATOR, ", ") or NONE_SHOWN
