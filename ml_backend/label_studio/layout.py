"""What a labeling config shows and asks, whatever its tags are; for orders that learn nothing from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.config_tree import ConfigTree, ConfigUnreadable, is_control, is_object, read_tree
from ml_backend.label_studio.labeling_config import NEXT_STEP
from ml_backend.label_studio.task_fields import FIELD

TEXTS: Final = ("text",)
"""Tags whose field holds words that distinguish tasks."""
SHOWN_FIRST: Final = ("text", "image", "hypertext", "paragraphs")
"""If there are several objects, lists show the one that comes first here."""


@dataclass(frozen=True)
class Layout:
    """The controls and objects of a labeling config."""

    controls: Mapping[str, tuple[str, ...]]
    """Name of each control → the labels it offers; empty if the config does not list them."""
    object_tag: str = ""
    """Tag of the object that lists show (``Text``, ``Image``, ``Audio`` …); empty if no object shows a single plain
    field."""
    field: str = ""
    """The task data field of that object."""
    text_field: str = ""
    """The field of the first text; empty if there is none, or if it holds a URL."""


def read_layout(xml: str, *, project: object = "?") -> Layout:
    """The layout of any labeling config.

    Raises:
        LabelConfigError: not XML, or nothing in it asks anything.
    """
    try:
        tree = read_tree(xml)
    except ConfigUnreadable as exc:
        raise LabelConfigError(f"The labeling config of project {project} cannot be read ({exc}). {NEXT_STEP}") from exc
    controls = {tag.attrib["name"]: _labels(tag) for tag in tree.tags() if is_control(tag)}
    if not controls:
        raise LabelConfigError(
            f"The labeling config of project {project} asks nothing: no tag has a name and a toName. {NEXT_STEP}"
        )
    shown, texts = _objects(tree), [tag for tag in tree.tags() if tag.tag in TEXTS and is_object(tag)]
    first = min(shown, key=lambda tag: _rank(tag.tag), default=None)
    plain = [tag for tag in texts if tag in shown and tag.get("valuetype") != "url" and not tag.get("encoding")]
    return Layout(
        controls,
        "" if first is None else first.tag.title(),
        "" if first is None else _field(first),
        _field(plain[0]) if plain else "",
    )


def _labels(control: Element) -> tuple[str, ...]:
    inside = (tag for tag in control.iter() if tag.tag in ("label", "choice"))
    return tuple(dict.fromkeys(tag.get("alias") or tag.get("value") or "" for tag in inside))


def _objects(tree: ConfigTree) -> list[Element]:
    """Objects that show exactly one task field."""
    return [tag for tag in tree.tags() if is_object(tag) and _field(tag)]


def _field(tag: Element) -> str:
    found = FIELD.fullmatch(tag.get("value", ""))
    return found.group(1) if found else ""


def _rank(tag: str) -> int:
    return SHOWN_FIRST.index(tag) if tag in SHOWN_FIRST else len(SHOWN_FIRST)
