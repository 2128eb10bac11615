"""A labeling config as Label Studio's page reads it: tags and names of attributes in any case of letters.

Its server is not so generous: it knows ``name``, ``toName`` and ``value`` only as they are written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from defusedxml import DefusedXmlException, ElementTree

READ: Final = frozenset({"choices", "choice", "rating", "taxonomy", "text", "image", "hypertext", "paragraphs"})
"""Tags whose attributes are read here, but for those that hide what is inside them."""
EXACT: Final = {name.lower(): name for name in ("name", "toName", "value")}
"""Attributes of these tags that the server finds only in this spelling."""
DECLARED: Final = re.compile(r"\s*<\?xml\b[^>]*\bencoding\b")


class ConfigUnreadable(ValueError):
    """Label Studio cannot read the config either; the text says why."""


@dataclass(frozen=True)
class ConfigTree:
    """All tags of a config. Their names and those of their attributes are in lower case."""

    root: Element
    parents: dict[Element, Element]
    spelling: dict[Element, str]
    """The tags as the config writes them."""

    def tags(self) -> Iterator[Element]:
        """In the order of the config."""
        return self.root.iter()

    def with_parents(self, tag: Element) -> Iterator[Element]:
        """The tag, what it lies in, and so on to the outermost."""
        inner: Element | None = tag
        while inner is not None:
            yield inner
            inner = self.parents.get(inner)


def read_tree(xml: str) -> ConfigTree:
    """Parse a config.

    Raises:
        ConfigUnreadable: no XML, or what Label Studio's server fails on.
    """
    if DECLARED.match(xml):
        raise ConfigUnreadable("it begins with an XML declaration of its encoding; delete that line")
    try:
        root = ElementTree.fromstring(xml, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as exc:
        raise ConfigUnreadable(" ".join(str(exc).split())) from exc
    spelling, parents = {}, {}
    for tag in root.iter():
        parents.update(dict.fromkeys(tag, tag))
        spelling[tag] = tag.tag
        tag.tag = tag.tag.lower()
        _lower_attributes(tag, spelling[tag])
    return ConfigTree(root, parents, spelling)


def is_control(tag: Element) -> bool:
    """Whether a tag asks something about an object, as Label Studio tells controls from objects."""
    return bool(tag.get("name") and tag.get("toname"))


def is_object(tag: Element) -> bool:
    """Whether a tag shows something of the task."""
    return bool(tag.get("name") and (tag.get("value") or tag.get("valuelist"))) and not is_control(tag)


def _lower_attributes(tag: Element, written: str) -> None:
    attributes: dict[str, str] = {}
    for name, value in tag.attrib.items():
        lower = name.lower()
        if lower in attributes:
            raise ConfigUnreadable(f"<{written}> has the attribute {lower} twice, in different letters; keep one")
        if tag.tag in READ and name != EXACT.get(lower, name):
            raise ConfigUnreadable(f"<{written}> has {name}; Label Studio's server finds it only as {EXACT[lower]}")
        attributes[lower] = value
    tag.attrib.clear()
    tag.attrib.update(attributes)
