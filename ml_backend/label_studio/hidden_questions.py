"""Finds the parts of a labeling config that the page hides, always or at times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.label_studio.config_tree import ConfigTree

NOT_SHOWN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
OPEN_TASKS: Final = "a task that is submitted without it has no label, and is not asked again"


@dataclass(frozen=True)
class Hidden:
    """Something that annotators never see, or only at times."""

    text: str
    never: bool
    """Whether it is never shown, so that nobody can answer the question."""


def hidden(tree: ConfigTree, tag: Element, what: str) -> Iterator[Hidden]:
    """Everything that hides a tag: its own attributes and those of the tags around it.

    Args:
        tree: the config.
        tag: one of its objects or controls.
        what: the tag in words, for messages.
    """
    for outer in tree.with_parents(tag):
        where = f"<{tree.spelling[outer]}"
        when = outer.get("visiblewhen")
        if when == "region-selected":
            yield Hidden(f'{where} visibleWhen="{when}"> shows {what} only while a region is selected', True)
        elif when in ("choice-selected", "choice-unselected"):
            other = outer.get("whenchoicevalue") or outer.get("whentagname")
            condition = f"{'once' if when == 'choice-selected' else 'until'} {other or 'another question'!r} is chosen"
            yield Hidden(f'{where} visibleWhen="{when}">: annotators see {what} only {condition}; {OPEN_TASKS}', False)
        if NOT_SHOWN.search(outer.get("style", "")):
            yield Hidden(f'{where} style="{outer.get("style")}"> hides {what}', True)
        if outer.tag == "repeater":
            yield Hidden(f"{where}> repeats {what} for each entry of a list; ask once per task", True)
