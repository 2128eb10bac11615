"""Raw texts of tasks → items of the text models."""

from __future__ import annotations

from ml_backend.errors import BadItemError

MAX_CHARACTERS = 5_000
"""A text is cut here: headlines and paragraphs fit, a pasted book cannot stall a round."""


def read_text(raw: bytes | str) -> str:
    """The text, stripped and cut at ``MAX_CHARACTERS``.

    Raises:
        BadItemError: no string, or an empty one.
    """
    if not isinstance(raw, str):
        raise BadItemError(f"Expected a text, got {type(raw).__name__}; check the task's data and the value of <Text>")
    text = raw.strip()
    if not text:
        raise BadItemError("The text is empty; there is nothing to classify")
    return text[:MAX_CHARACTERS]
