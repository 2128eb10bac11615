"""What a labeling config shows and asks, whatever its tags are: for orders that learn nothing from the answers."""

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
"""Tags whose field holds words that tell tasks apart."""
SHOWN_FIRST: Final = ("text", "image", "hypertext", "paragraphs")
"""Of several objects the one that lists show."""


@dataclass(frozen=True)
class Layout:
    """The controls and objects of a config."""

    controls: Mapping[str, tuple[str, ...]]
    """Name of each tag that asks → the labels it offers; none where they are not in the config."""
    object_tag: str = ""
    """``Text``, ``Image``, ``Audio`` …: of the object that lists show; empty where none shows one plain field."""
    field: str = ""
    """Its task data field."""
    text_field: str = ""
    """The field of the first text; empty where no object is one, or it is an address."""


def read_layout(xml: str, *, project: object = "?") -> Layout:
    """The layout of any labeling config.

    Raises:
        LabelConfigError: no XML, or nothing in it asks anything.
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
    """Objects that show one task field."""
    return [tag for tag in tree.tags() if is_object(tag) and _field(tag)]


def _field(tag: Element) -> str:
    found = FIELD.fullmatch(tag.get("value", ""))
    return found.group(1) if found else ""


def _rank(tag: str) -> int:
    return SHOWN_FIRST.index(tag) if tag in SHOWN_FIRST else len(SHOWN_FIRST)
