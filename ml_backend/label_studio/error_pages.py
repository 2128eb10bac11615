"""Extracts the text of an HTML error page. A single pass, because crafted pages can make a regular expression hang."""

from __future__ import annotations

from typing import Final

MOST_READ: Final = 1 << 18
"""Characters of the page that are looked at."""
MOST_SAID: Final = 200
HIDDEN: Final = frozenset({"head", "script", "style"})
"""Elements whose content people do not see."""


def page_text(page: str) -> str:
    """The beginning of a page's text without its tags; plain text is returned as it is."""
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
