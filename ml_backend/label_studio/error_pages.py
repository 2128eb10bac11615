"""What an error page says, read in one pass: a regular expression or a parser can be made to hang."""

from __future__ import annotations

from typing import Final

MOST_READ: Final = 1 << 18
"""Characters."""
MOST_SAID: Final = 200
HIDDEN: Final = frozenset({"head", "script", "style"})
"""Elements that hold no text for people."""


def page_text(page: str) -> str:
    """The beginning of a page's text, without tags; plain text stays as it is."""
    first, *parts = page[:MOST_READ].split("<")
    said, hidden = [first], ""
    for part in parts:
        tag, _, text = part.partition(">")
        name = tag.split(None, 1)[0].lower() if tag.strip() else ""
        if hidden:
            hidden = "" if name == f"/{hidden}" else hidden
        elif name in HIDDEN:
            hidden = name
        if not hidden:
            said.append(text)
    return " ".join(" ".join(said).split())[:MOST_SAID]
