"""The values that attributes of a labeling config may have. On any other the page fails, and shows no task at all.

The page reads ``true`` and ``false`` as truth values in every attribute except ``value``.
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

TRUTHS: Final = ("true", "false")
SWITCHES: Final = {
    "choices": ("allownested", "perregion", "peritem", "required", "showinline", "readonly", "visible"),
    "choice": ("selected", "readonly", "visible"),
    "taxonomy": ("leafsonly", "showfullpath", "perregion", "peritem", "required", "readonly", "visible", "labeling"),
    "rating": ("required", "perregion", "peritem", "readonly", "visible"),
    "text": ("selectionenabled", "showlabels"),
    "hypertext": ("selectionenabled", "showlabels", "inline", "clickablelinks"),
}
"""Attributes that are either true or false."""
WORDS: Final = {
    ("choices", "choice"): ("single", "single-radio", "multiple"),
    ("choices", "layout"): ("select", "inline", "vertical"),
    ("text", "valuetype"): ("text", "url"),
    ("text", "encoding"): ("none", "base64", "base64unicode"),
    ("hypertext", "valuetype"): ("text", "url"),
    ("hypertext", "encoding"): ("none", "base64", "base64unicode"),
    ("paragraphs", "valuetype"): ("json", "url"),
    ("paragraphs", "encoding"): ("none", "base64", "base64unicode"),
    ("text", "savetextresult"): ("none", "no", "yes"),
    ("text", "granularity"): ("symbol", "word", "sentence", "paragraph"),
}
TEXTS: Final = frozenset(
    {"name", "toname", "alias", "hint", "html", "hotkey", "style", "color", "requiredmessage"}
    | {"visiblewhen", "whentagname", "whenlabelvalue", "whenchoicevalue"}
)
"""Attributes that may be any text except the words ``true`` and ``false``."""


def check_words(tag: Element) -> str | None:
    """The first attribute value that the page would fail on, with the values it may have; None if all are fine.

    Args:
        tag: a tag whose names are in lower case.
    """
    for name, value in tag.attrib.items():
        allowed = TRUTHS if name in SWITCHES.get(str(tag.tag), ()) else WORDS.get((str(tag.tag), name))
        if allowed is not None and value not in allowed:
            return f'{name}="{value}", on which Label Studio\'s page fails; it may be {", ".join(allowed)}'
        if name in TEXTS and value in TRUTHS:
            return f'{name}="{value}", which Label Studio\'s page does not take for text and fails on; use another word'
    return None
