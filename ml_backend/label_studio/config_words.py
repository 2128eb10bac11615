"""Words that an attribute of a labeling config may have. On others the page fails, and shows no task at all.

The page takes ``true`` and ``false`` for truth values wherever they stand, but in ``value``.
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
"""Attributes that are true or false."""
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
"""Attributes that are any text, but those two words."""


def check_words(tag: Element) -> str | None:
    """The first attribute that the page fails on, with what it may be; None where there is none.

    Args:
        tag: with names in lower case.
    """
    for name, value in tag.attrib.items():
        allowed = TRUTHS if name in SWITCHES.get(str(tag.tag), ()) else WORDS.get((str(tag.tag), name))
        if allowed is not None and value not in allowed:
            return f'{name}="{value}", on which Label Studio\'s page fails; it may be {", ".join(allowed)}'
        if name in TEXTS and value in TRUTHS:
            return f'{name}="{value}", which Label Studio\'s page takes for no text and fails on; write it otherwise'
    return None
