"""Raw texts of tasks → items of the text models."""

from __future__ import annotations

from ml_backend.errors import BadItemError

MAX_CHARACTERS = 5_000
"""A text is cut here: headlines and paragraphs fit, a pasted book cannot stall a round."""


def read_text(raw: bytes | str) -> str:
    """The text, stripped and cut at ``MAX_CHARACTERS``; half a character (a lone surrogate) becomes U+FFFD.

    Tweets that were cut in the middle of an emoji hold such halves. Browsers show the same sign in their place.

    Raises:
        BadItemError: no string, or an empty one.
    """
    if not isinstance(raw, str):
        raise BadItemError(f"Expected a text, got {type(raw).__name__}; check the task's data and the value of <Text>")
    whole = raw if raw.isascii() else raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = whole.strip()
    if not text:
        raise BadItemError("The text is empty; there is nothing to classify")
    return text[:MAX_CHARACTERS]
