"""An object of a labeling config → the task data that it shows, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.label_studio.config_refusals import Refused, refuse
from ml_backend.label_studio.config_tree import ConfigTree, is_object
from ml_backend.label_studio.config_words import check_words
from ml_backend.label_studio.task_fields import FIELD, VARIABLE

READ_AS: Final = {"image": "Image", "text": "Text", "hypertext": "Text", "paragraphs": "Text"}
"""Objects that are read, in small letters, and as what: an image or a text."""
WRITTEN: Final = {"image": "Image", "text": "Text", "hypertext": "HyperText", "paragraphs": "Paragraphs"}
MARKUP: Final = {"hypertext": "html", "paragraphs": "paragraphs"}
"""What stands around the words of a text."""
USUAL_KEY: Final = "text"
"""Of an utterance of ``<Paragraphs>``: where its words are."""


class Shown(Protocol):
    """Something that annotators see of a task, and how to read it."""

    @property
    def object_tag(self) -> str:
        """``Image`` or ``Text``; others cannot be read."""

    @property
    def field(self) -> str:
        """Task data field: ``text``, or a way into the data (``meta.text``, ``texts[0]``)."""

    @property
    def by_url(self) -> bool:
        """The field of a text holds its URL (``valueType="url"``)."""

    @property
    def encoding(self) -> str:
        """Of a text: ``none``, ``base64`` or ``base64unicode``."""

    @property
    def markup(self) -> str:
        """Of a text: ``html``, whose tags are no words; ``paragraphs``, a list of utterances; else empty."""

    @property
    def text_key(self) -> str:
        """Where the words of an utterance are."""


@dataclass(frozen=True)
class ShownObject:
    """One object of a config."""

    name: str
    tag: str
    """As it is written: ``HyperText``."""
    object_tag: str
    field: str
    by_url: bool = False
    encoding: str = "none"
    markup: str = ""
    text_key: str = USUAL_KEY


def objects(tree: ConfigTree) -> dict[str, Element]:
    """The objects of a config by their names, in its order."""
    return {tag.attrib["name"]: tag for tag in tree.tags() if is_object(tag)}


def read_object(tree: ConfigTree, tag: Element) -> ShownObject:
    """What an object shows.

    Raises:
        Refused: it cannot be read.
    """
    if tag.tag not in READ_AS:
        wanted = ", ".join(f"<{name}>" for name in WRITTEN.values())
        refuse(f" asks about <{tree.spelling[tag]}>; supported: {wanted}.")
    if tag.get("resolver"):
        refuse(f' has <{tree.spelling[tag]} resolver="{tag.get("resolver")}">, which is not read; delete it.')
    field = _field(tree, tag)
    if (unknown := check_words(tag)) is not None:
        refuse(f": <{tree.spelling[tag]}> has {unknown}.")
    is_text = READ_AS[tag.tag] == "Text"
    return ShownObject(
        tag.attrib["name"],
        WRITTEN[tag.tag],
        READ_AS[tag.tag],
        field,
        by_url=is_text and tag.get("valuetype") == "url",
        encoding=tag.get("encoding", "none") if is_text else "none",
        markup=MARKUP.get(tag.tag, ""),
        text_key=tag.get("textkey") or USUAL_KEY,
    )


def _field(tree: ConfigTree, shown: Element) -> str:
    """The task data field that an object shows."""
    value = shown.get("value", "")  # a valueList would be several images
    if (field := FIELD.fullmatch(value)) is not None:
        return field.group(1)
    sees = VARIABLE.sub("…", value)
    seen = f" (annotators would see {sees!r}, with what the task has for each …)" if sees else ""
    raise Refused(
        f' has <{tree.spelling[shown]} value="{value}">; its value must be one task field, like "$text" or '
        f'"$meta.text", of the letters a to z, digits and _{seen}.'
    )
