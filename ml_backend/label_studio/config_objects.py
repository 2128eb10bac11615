"""Reads from an object of a labeling config which task data it shows, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.label_studio.config_refusals import Refused, refuse
from ml_backend.label_studio.config_tree import ConfigTree, is_object
from ml_backend.label_studio.config_words import check_words
from ml_backend.label_studio.task_fields import FIELD, VARIABLE
from ml_backend.records import Wanted

READ_AS: Final = {"image": "Image", "text": "Text", "hypertext": "Text", "paragraphs": "Text"}
"""The objects that can be read (in lower case), and whether as an image or as a text."""
WRITTEN: Final = {"image": "Image", "text": "Text", "hypertext": "HyperText", "paragraphs": "Paragraphs"}
MARKUP: Final = {"hypertext": "html", "paragraphs": "paragraphs"}
"""What surrounds the words of a text."""
NUMBERS: Final = "Numbers"
"""Takes the place of an object tag if the task's field holds a list of numbers."""
USUAL_KEY: Final = "text"
"""The key of an utterance's words in ``<Paragraphs>`` that does not set ``textKey``."""


class Shown(Protocol):
    """Something of a task that annotators see, and how to read it."""

    @property
    def shown_as(self) -> str:
        """``Image`` or ``Text``; nothing else can be read."""

    @property
    def field(self) -> str:
        """Task data field: ``text``, or a path into the data (``meta.text``, ``texts[0]``)."""

    @property
    def by_url(self) -> bool:
        """Whether the field holds the URL of the text (``valueType="url"``), not the text itself."""

    @property
    def encoding(self) -> str:
        """Encoding of a text: ``none``, ``base64`` or ``base64unicode``."""

    @property
    def markup(self) -> str:
        """Markup of a text: ``html`` (tags are not words), ``paragraphs`` (a list of utterances), or empty."""

    @property
    def text_key(self) -> str:
        """The key under which an utterance has its words."""


@dataclass(frozen=True)
class ShownObject:
    """One object of a labeling config."""

    name: str
    tag: str
    """The tag as the config writes it: ``HyperText``."""
    object_tag: str
    field: str
    by_url: bool = False
    encoding: str = "none"
    markup: str = ""
    text_key: str = USUAL_KEY
    many: bool = False
    """Whether the field holds a list of pictures (``valueList``)."""

    @property
    def shown_as(self) -> str:
        """``Image`` or ``Text``; nothing else can be read."""
        return self.object_tag


def objects(tree: ConfigTree) -> dict[str, Element]:
    """The objects of a config by name, in the config's order."""
    return {tag.attrib["name"]: tag for tag in tree.tags() if is_object(tag)}


def shown_fields(tree: ConfigTree) -> tuple[str, ...]:
    """The task data fields that the page shows, in the config's order, including those that are not learnt from."""
    values = (tag.get("value") or tag.get("valuelist") or "" for tag in objects(tree).values())
    return tuple(dict.fromkeys(found.group(1) for value in values if (found := FIELD.fullmatch(value))))


def read_object(tree: ConfigTree, tag: Element) -> ShownObject:
    """Read what an object shows.

    Raises:
        Refused: it cannot be read.
    """
    if tag.tag not in READ_AS:
        wanted = ", ".join(f"<{name}>" for name in WRITTEN.values())
        refuse(f" asks about <{tree.spelling[tag]}>; supported: {wanted}.")
    if tag.get("resolver"):
        refuse(f' has <{tree.spelling[tag]} resolver="{tag.get("resolver")}">, which is not read; delete it.')
    many = tag.tag == "image" and bool(tag.get("valuelist")) and not tag.get("value")
    field = _field(tree, tag, "valuelist" if many else "value")
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
        many=many,
    )


def learnt_from(tree: ConfigTree, tag: Element, wanted: Wanted) -> tuple[ShownObject, tuple[ShownObject, ...]]:
    """The object that a question is about, and the parts of a vector if something else or more is learnt from.

    Raises:
        Refused: something to learn from cannot be read.
    """
    if wanted.embedding_field:
        if not FIELD.fullmatch(f"${wanted.embedding_field}"):
            refuse(f': the setting embedding_field is "{wanted.embedding_field}", which is no field of a task.')
        shown = read_object(tree, tag) if tag.tag in READ_AS and not tag.get("resolver") else _unread(tree, tag)
        return shown, (ShownObject("", "", NUMBERS, wanted.embedding_field),)
    shown = read_object(tree, tag)
    names = list(dict.fromkeys(filter(None, (name.strip() for name in wanted.objects.split(",")))))
    if names in ([], [shown.name]):
        return shown, (shown,) if shown.many else ()
    there = objects(tree)
    if missing := next((name for name in names if name not in there), None):
        refuse(f' has no object named "{missing}", which the setting objects names; it has {", ".join(there)}.')
    return shown, tuple(read_object(tree, there[name]) for name in names)


def _unread(tree: ConfigTree, tag: Element) -> ShownObject:
    """An object that is not read, because numbers in the task take its place."""
    field = FIELD.fullmatch(tag.get("value", ""))
    return ShownObject(tag.attrib["name"], tree.spelling[tag], "", field.group(1) if field else "")


def _field(tree: ConfigTree, shown: Element, attribute: str) -> str:
    """The task data field that an object shows."""
    value = shown.get(attribute, "")
    if (field := FIELD.fullmatch(value)) is not None:
        return field.group(1)
    sees = VARIABLE.sub("…", value)
    seen = f" (annotators would see {sees!r}, with what the task has for each …)" if sees else ""
    raise Refused(
        f' has <{tree.spelling[shown]} {attribute}="{value}">; its value must be one task field, like "$text" or '
        f'"$meta.text", of the letters a to z, digits and _{seen}.'
    )
