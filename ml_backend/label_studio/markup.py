"""Extracts the words from HTML and from dialogues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Final

from ml_backend.errors import BadItemError

UNSEEN: Final = frozenset({"script", "style", "template", "head", "title"})
"""Tags whose content no page shows as text."""
INSIDE: Final = frozenset({"a", "abbr", "b", "bdi", "code", "em", "font", "i", "mark", "s", "small", "span", "strong"})
"""Tags that may stand in the middle of a word; all others end one."""
VOID: Final = frozenset({"head"})
"""Those of the unseen tags that many pages never close."""


def words_of_html(html: str) -> str:
    """The text that a page shows for HTML, with each run of white space as one space."""
    reader = _Words()
    reader.feed(html)
    reader.close()
    return " ".join("".join(reader.words).split())


def words_of_paragraphs(value: Any, field: str, text_key: str) -> str:
    """The utterances of a dialogue, one per line.

    Args:
        value: the field's value: a list of objects, or the same as JSON.
        field: its name, for error messages.
        text_key: the key of an utterance's words.

    Raises:
        BadItemError: it is not a list of objects that each have a text.
    """
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError as exc:
            raise BadItemError(f'field "{field}" holds no JSON list of utterances: {exc}') from exc
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise BadItemError(f'field "{field}" holds no list of utterances')
    said = [each.get(text_key) for each in value]
    if not all(isinstance(text, str) for text in said):
        raise BadItemError(f'field "{field}": an utterance has no text "{text_key}"')
    return "\n".join(text.strip() for text in said if text.strip())


class _Words(HTMLParser):
    """Collects the text that is shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unseen: str | None = None
        """The outermost open tag whose content is not shown."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (its signature)
        if self._unseen is None and tag in UNSEEN:
            self._unseen = tag
        elif self._unseen in VOID and tag == "body":
            self._unseen = None
        if tag not in INSIDE:
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None
        if tag not in INSIDE:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self.words.append(data)
