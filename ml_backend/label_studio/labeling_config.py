"""Labeling config → the one question that a project asks, and what about it is not as it seems.

What the page and the server of Label Studio 1.23.2 make of a config was read in their code, and tried.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.config_tree import ConfigTree, ConfigUnreadable, is_control, is_object, read_tree
from ml_backend.label_studio.config_words import check_words
from ml_backend.label_studio.hidden_questions import hidden
from ml_backend.label_studio.task_fields import FIELD, VARIABLE, field_value

OBJECT_TAGS: Final = ("Image", "Text")
MIN_CLASSES, MAX_CLASSES = 2, 1_000
SINGLE_CHOICE: Final = ("single", "single-radio")
MULTIPLE_CHOICE: Final = "multiple"
NEXT_STEP: Final = "Change it in Settings > Labeling Interface."


@dataclass(frozen=True)
class ChoiceQuestion:
    """One question, of one choice or several, over one image or one text."""

    control: str
    """Name of the ``<Choices>`` tag: ``from_name`` in a result."""
    object: str
    """Name of the ``<Image>`` or ``<Text>`` tag: ``to_name`` in a result."""
    object_tag: str
    """``Image`` or ``Text``."""
    field: str
    """Task data field that the object shows: ``text``, or a way into the data (``meta.text``, ``texts[0]``)."""
    labels: tuple[str, ...]
    """Stored values in the order of the config: a choice's ``alias`` where it has one, else its ``value``."""
    descriptions: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """What says to people what each label means: its ``hint`` where it has one, else its ``value``."""
    nested: bool = False
    """Answers are stored as ``[["label"]]``: the config has ``allowNested``."""
    by_url: bool = False
    """The field of a text holds its URL (``valueType="url"``)."""
    encoding: str = "none"
    """Of a text: ``none``, ``base64`` or ``base64unicode``."""
    multiple: bool = False
    """Several choices per answer, or none: an answer is a set of labels (`label_sets`)."""
    required: bool = dataclasses.field(default=False, compare=False)
    """An answer without a choice is not taken; else it is an answer where there may be several."""

    def value(self, data: Mapping[str, Any]) -> Any:
        """What a task's data hold in the field; None where there is nothing."""
        return field_value(data, self.field)


@dataclass(frozen=True)
class LabelingConfig:
    """A config that can be learnt from."""

    question: ChoiceQuestion
    warnings: tuple[str, ...] = ()
    """What annotators see otherwise than the config seems to say, and what that does to the answers."""


def parse_label_config(xml: str, *, project: object = "?") -> ChoiceQuestion:
    """The one question that a labeling config asks.

    Raises:
        LabelConfigError: as `read_label_config`.
    """
    return read_label_config(xml, project=project).question


def read_label_config(xml: str, *, project: object = "?") -> LabelingConfig:
    """The question of a labeling config, and what to know about it when a project is connected.

    Raises:
        LabelConfigError: no XML, not exactly one ``<Choices>``, not single choice, labels that come from the task
            (``value="$field"``) or are nested, fewer than 2 or more than 1,000 classes, an object other than
            ``<Image>`` and ``<Text>``, a question that the page does not show, or a word that it does not know.
    """
    try:
        return _read(read_tree(xml))
    except ConfigUnreadable as exc:
        reason = f" cannot be read ({exc})."
    except _Refused as exc:
        reason = str(exc)
    raise LabelConfigError(f"The labeling config of project {project}{reason} {NEXT_STEP}")


class _Refused(ValueError):
    """Why a config cannot be learnt from. Goes on after the name of the project."""


def _refuse(reason: str) -> NoReturn:
    raise _Refused(reason)


def _read(tree: ConfigTree) -> LabelingConfig:
    control = _control(tree)
    shown = _object(tree, control.attrib["toname"])
    field = _field(tree, shown)
    choices = _choices(tree, control)
    for tag in (control, shown, *choices):
        if (unknown := check_words(tag)) is not None:
            _refuse(f": <{tree.spelling[tag]}> has {unknown}.")
    warnings = [*hidden(tree, control, "the question"), *hidden(tree, shown, f"what <{shown.tag.title()}> shows")]
    if refused := next((found for found in warnings if found.never), None):
        _refuse(f": {refused.text}.")
    labels = _labels(choices)
    question = ChoiceQuestion(
        control.attrib["name"],
        shown.attrib["name"],
        shown.tag.title(),
        field,
        labels,
        _descriptions(choices, labels),
        nested=control.get("allownested") == "true",
        by_url=shown.tag == "text" and shown.get("valuetype") == "url",
        encoding=shown.get("encoding", "none") if shown.tag == "text" else "none",
        multiple=control.get("choice") == MULTIPLE_CHOICE,
        required=control.get("required") == "true",
    )
    return LabelingConfig(question, (*(found.text for found in warnings), *_about_choices(choices, labels)))


def _control(tree: ConfigTree) -> Element:
    names = Counter(tag.get("name") for tag in tree.tags() if tag.get("name"))
    if doubled := next((name for name, count in names.items() if count > 1), None):
        _refuse(f' has two tags named "{doubled}", which Label Studio does not take; rename one.')
    choices = [tag for tag in tree.tags() if tag.tag == "choices" and is_control(tag)]
    if len(choices) != 1:
        _refuse(f" has {len(choices)} <Choices> controls, exactly one is needed.")
    tag = choices[0]
    choice = tag.get("choice", "single")
    if choice not in SINGLE_CHOICE:
        _refuse(f' has <Choices choice="{choice}">; set choice="single".')
    if "true" in (tag.get("perregion"), tag.get("peritem")):
        _refuse(" asks per region or per item; ask once per task.")
    if "$" in tag.get("value", "") or tag.get("apiurl"):
        _refuse(" takes its choices from the task; list them as <Choice> tags.")
    return tag


def _object(tree: ConfigTree, to_name: str) -> Element:
    """The object that the question is about."""
    target = {tag.attrib["name"]: tag for tag in tree.tags() if is_object(tag)}.get(to_name)
    if target is None:
        _refuse(": <Choices> must point to one object by its toName.")
    if target.tag.title() not in OBJECT_TAGS:
        wanted = " or ".join(f"<{tag}>" for tag in OBJECT_TAGS)
        _refuse(f" asks about <{tree.spelling[target]}>; supported: {wanted}.")
    if target.get("resolver"):
        _refuse(f' has <{tree.spelling[target]} resolver="{target.get("resolver")}">, which is not read; delete it.')
    return target


def _field(tree: ConfigTree, shown: Element) -> str:
    """The task data field that an object shows."""
    value = shown.get("value", "")  # a valueList would be several images
    field = FIELD.fullmatch(value)
    if field is not None:
        return field.group(1)
    sees = VARIABLE.sub("…", value)
    seen = f" (annotators would see {sees!r}, with what the task has for each …)" if sees else ""
    _refuse(
        f' has <{tree.spelling[shown]} value="{value}">; its value must be one task field, like "$text" or '
        f'"$meta.text", of the letters a to z, digits and _{seen}.'
    )


def _choices(tree: ConfigTree, control: Element) -> list[Element]:
    choices = list(control.iter("choice"))
    if any(tree.parents[tag].tag == "choice" for tag in choices):
        _refuse(" has nested <Choice> tags; make them one flat list.")
    inside = {tree.spelling[tag] for tag in control}
    if choices and tree.spelling[control] == "Choices" and not inside & {"Choice", "View"}:
        _refuse(f" has <{tree.spelling[choices[0]]}> in <Choices>, which Label Studio does not take; write <Choice>.")
    for tag in choices:
        if VARIABLE.search(tag.get("value", "")) and not tag.get("alias"):
            _refuse(
                f' has <Choice value="{tag.get("value")}">, which annotators see, and Label Studio stores, with what '
                "each task has in its place; list the choices by their names, without $, or give each an alias."
            )
    return choices


def _labels(choices: list[Element]) -> tuple[str, ...]:
    labels = tuple(tag.get("alias", tag.get("value", "")) for tag in choices)  # an empty alias is stored: as ""
    doubled = [label for label, count in Counter(labels).items() if count > 1 or not label]
    if doubled:
        _refuse(f" has an empty or doubled choice: {doubled[0]!r}.")
    if not MIN_CLASSES <= len(labels) <= MAX_CLASSES:
        _refuse(f" has {len(labels):,} choices; {MIN_CLASSES} to {MAX_CLASSES:,} are supported.")
    return labels


def _descriptions(choices: list[Element], labels: tuple[str, ...]) -> tuple[str, ...]:
    said = (tag.get("hint", "").strip() or _own_words(tag) for tag in choices)
    return tuple(text or label for text, label in zip(said, labels, strict=True))


def _own_words(choice: Element) -> str:
    """What the page shows for a choice, where that is the same for all tasks."""
    value = choice.get("value", "").strip()
    return "" if VARIABLE.search(value) else value


def _about_choices(choices: list[Element], labels: tuple[str, ...]) -> tuple[str, ...]:
    warnings = []
    for tag, label in zip(choices, labels, strict=True):
        if VARIABLE.search(tag.get("value", "")):
            warnings.append(
                f"Annotators see the choice {label!r} with what each task has for {tag.get('value')!r}; the model "
                f"knows it only as {label!r}"
            )
        elif not (tag.get("value") or tag.get("html")):
            warnings.append(f"Annotators see a choice without a word; {label!r} is stored")
        if tag.get("selected") == "true":
            warnings.append(f"Annotators find {label!r} chosen already: who only presses Submit has answered it")
        if tag.get("visible") == "false":
            warnings.append(f"Annotators do not see the choice {label!r}")
        if tag.get("readonly") == "true":
            warnings.append(f"Annotators cannot choose {label!r}: it is readonly")
    return tuple(warnings)
