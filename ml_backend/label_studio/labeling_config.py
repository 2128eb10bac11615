"""Labeling config ↔ labels: which question a project asks, and how its answers are written."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from defusedxml import DefusedXmlException, ElementTree

from ml_backend.errors import LabelConfigError

OBJECT_TAGS = ("Image", "Text")
MIN_CLASSES, MAX_CLASSES = 2, 100
SINGLE_CHOICE = ("single", "single-radio")
NEXT_STEP = "Change it in Settings > Labeling Interface."
FIELD = re.compile(r"^\$([\w-]+)$")


@dataclass(frozen=True)
class ChoiceQuestion:
    """One single-choice question over one image or one text."""

    control: str
    """Name of the ``<Choices>`` tag: ``from_name`` in a result."""
    object: str
    """Name of the ``<Image>`` or ``<Text>`` tag: ``to_name`` in a result."""
    object_tag: str
    """``Image`` or ``Text``."""
    field: str
    """Task data field that the object shows."""
    labels: tuple[str, ...]
    """Stored values in the order of the config: a choice's ``alias`` where it has one, else its ``value``."""
    descriptions: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What says to people what each label means: its ``hint`` where it has one, else its ``value``."""


def parse_label_config(xml: str, *, project: object = "?") -> ChoiceQuestion:
    """Read the one question that a labeling config asks.

    Raises:
        LabelConfigError: no XML, not exactly one ``<Choices>``, not single choice, labels that come from the task
            (``value="$field"``) or are nested, fewer than 2 or more than 100 classes, or an object other than
            ``<Image>`` and ``<Text>``.
    """
    where = f"The labeling config of project {project}"
    try:
        tree = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as exc:
        raise LabelConfigError(f"{where} cannot be read ({exc}). {NEXT_STEP}") from exc
    controls = {tag.attrib["name"]: tag for tag in tree.iter() if _is_control(tag)}  # of one name the last counts
    choices = [tag for tag in controls.values() if tag.tag == "Choices"]
    if len(choices) != 1:
        raise LabelConfigError(f"{where} has {len(choices)} <Choices> controls, exactly one is needed. {NEXT_STEP}")
    tag = choices[0]
    choice = tag.get("choice", "single")
    if choice not in SINGLE_CHOICE:
        raise LabelConfigError(f'{where} has <Choices choice="{choice}">; set choice="single". {NEXT_STEP}')
    if tag.get("perRegion") == "true" or tag.get("perItem") == "true":
        raise LabelConfigError(f"{where} asks per region or per item; ask once per task. {NEXT_STEP}")
    if tag.get("value", "").startswith("$") or tag.get("apiUrl"):
        raise LabelConfigError(f"{where} takes its choices from the task; list them as <Choice> tags. {NEXT_STEP}")
    shown = _object(tree, tag.attrib["toName"], where)
    labels = _labels(tree, where)
    return ChoiceQuestion(tag.attrib["name"], *shown, labels=labels, descriptions=_descriptions(tree, labels))


def _is_control(tag: Element) -> bool:
    """Whether a tag asks something about an object, as Label Studio tells controls from objects."""
    return bool(tag.get("name") and tag.get("toName"))


def _is_object(tag: Element) -> bool:
    """Whether a tag shows something of the task."""
    return bool(tag.get("name") and (tag.get("value") or tag.get("valueList"))) and not _is_control(tag)


def _object(tree: Element, to_name: str, where: str) -> tuple[str, str, str]:
    """Name, tag and task data field of the object that the question is about."""
    target = {tag.attrib["name"]: tag for tag in tree.iter() if _is_object(tag)}.get(to_name)
    if target is None:
        raise LabelConfigError(f"{where}: <Choices> must point to one object by its toName. {NEXT_STEP}")
    if target.tag not in OBJECT_TAGS:
        wanted = " or ".join(f"<{tag}>" for tag in OBJECT_TAGS)
        raise LabelConfigError(f"{where} asks about <{target.tag}>; supported: {wanted}. {NEXT_STEP}")
    value = target.get("value", "")  # a valueList would be several images
    field = FIELD.match(value)
    if field is None:
        shown = f'<{target.tag} value="{value}">'
        raise LabelConfigError(f'{where} has {shown}; its value must be one task field, like "$text". {NEXT_STEP}')
    return target.attrib["name"], target.tag, field.group(1)


def _labels(tree: Element, where: str) -> tuple[str, ...]:
    choice_tags = tree.findall(".//Choices//Choice")
    if any(tag.find("Choice") is not None for tag in choice_tags):
        raise LabelConfigError(f"{where} has nested <Choice> tags; make them one flat list. {NEXT_STEP}")
    labels = tuple(tag.get("alias") or tag.get("value") or "" for tag in choice_tags)
    doubled = [label for label, count in Counter(labels).items() if count > 1 or not label]
    if doubled:
        raise LabelConfigError(f"{where} has an empty or doubled choice: {doubled[0]!r}. {NEXT_STEP}")
    if not MIN_CLASSES <= len(labels) <= MAX_CLASSES:
        raise LabelConfigError(
            f"{where} has {len(labels)} choices; {MIN_CLASSES} to {MAX_CLASSES} are supported. {NEXT_STEP}"
        )
    return labels


def _descriptions(tree: Element, labels: Iterable[str]) -> tuple[str, ...]:
    tags = tree.findall(".//Choices//Choice")
    said = (tag.get("hint", "").strip() or tag.get("value", "").strip() for tag in tags)
    return tuple(text or label for text, label in zip(said, labels, strict=True))


def label_of(result: Iterable[Mapping[str, Any]], question: ChoiceQuestion) -> str | None:
    """The label in an annotation's ``result``, or None where the question was left open.

    An answer that the config does not (or no longer) list is returned as it is: the caller reports it.
    """
    for region in result:
        if region.get("from_name") == question.control and region.get("type") == "choices":
            chosen = region.get("value", {}).get("choices") or []
            if len(chosen) == 1 and isinstance(chosen[0], str):
                return chosen[0]
    return None


def result_for(label: str, score: float, question: ChoiceQuestion) -> list[dict[str, Any]]:
    """A prediction's ``result``: the label, with its probability as the region's score.

    Label Studio needs region ids to be strings.
    """
    return [
        {
            "id": "choice",
            "from_name": question.control,
            "to_name": question.object,
            "type": "choices",
            "score": round(float(score), 6),
            "value": {"choices": [label]},
        }
    ]
