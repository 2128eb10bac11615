"""Parses a labeling config as Label Studio's page does, which ignores the case of tags and attributes.

Label Studio's server is stricter: it finds ``name``, ``toName`` and ``value`` only in exactly this spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from defusedxml import DefusedXmlException, ElementTree

READ: Final = frozenset({"choices", "choice", "rating", "taxonomy", "text", "image", "hypertext", "paragraphs"})
"""Tags whose attributes are read here (apart from ``visibleWhen`` and the like, which any tag may have)."""
EXACT: Final = {name.lower(): name for name in ("name", "toName", "value")}
"""Attributes of these tags that the server finds only in this spelling."""
DECLARED: Final = re.compile(r"\s*<\?xml\b[^>]*\bencoding\b")


class ConfigUnreadable(ValueError):
    """Label Studio cannot read the config either; the text says why."""


@dataclass(frozen=True)
class ConfigTree:
    """All tags of a config, with tag and attribute names in lower case."""

    root: Element
    parents: dict[Element, Element]
    spelling: dict[Element, str]
    """The tag names as the config writes them."""

    def tags(self) -> Iterator[Element]:
        """All tags, in the config's order."""
        return self.root.iter()

    def with_parents(self, tag: Element) -> Iterator[Element]:
        """The tag itself, then the tags around it, the outermost last."""
        inner: Element | None = tag
        while inner is not None:
            yield inner
            inner = self.parents.get(inner)


def read_tree(xml: str) -> ConfigTree:
    """Parse a config.

    Raises:
        ConfigUnreadable: it is not XML, or Label Studio's server would fail on it.
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
    """Whether a tag asks something about an object; the same rule as Label Studio's."""
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
