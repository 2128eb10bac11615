"""Reads from a labeling config which question is learnt, and in what way the config is not what it seems.

How the page and the server of Label Studio 1.23.2 treat a config was read in their code, and tried.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.errors import ChoicesToCome, LabelConfigError
from ml_backend.label_studio.config_controls import (
    LEARNABLE,
    MAX_CLASSES,
    MIN_CLASSES,
    Answers,
    answers_of,
    is_learnable,
)
from ml_backend.label_studio.config_objects import NUMBERS, READ_AS, USUAL_KEY, ShownObject, learnt_from, objects
from ml_backend.label_studio.config_options import fill
from ml_backend.label_studio.config_refusals import Refused, ToCome, refuse
from ml_backend.label_studio.config_tree import ConfigTree, ConfigUnreadable, is_control, read_tree
from ml_backend.label_studio.hidden_questions import hidden
from ml_backend.label_studio.task_fields import field_value
from ml_backend.records import NO_WISH, VECTOR, Wanted

__all__ = ["MAX_CLASSES", "MIN_CLASSES", "ChoiceQuestion", "LabelingConfig", "parse_label_config", "read_label_config"]
NEXT_STEP: Final = "Change it in Settings > Labeling Interface."
QUESTION_STEP: Final = "Correct the setting `question` (extra params), or the config in Settings > Labeling Interface."


@dataclass(frozen=True)
class ChoiceQuestion:
    """One question about an image or a text, to be answered with one choice or with several."""

    control: str
    """Name of the ``<Choices>``, ``<Rating>`` or ``<Taxonomy>`` tag: ``from_name`` in a result."""
    object: str
    """Name of the tag that it asks about: ``to_name`` in a result."""
    object_tag: str
    """How the content is read: ``Image``, ``Text``, or ``Vector``, which is made of ``parts``."""
    field: str
    """Task data field that the object shows: ``text``, or a path into the data (``meta.text``, ``texts[0]``)."""
    labels: tuple[str, ...]
    """The classes in the config's order: a choice's ``alias`` if it has one, otherwise its ``value``; numbers of stars;
    names of leaves."""
    descriptions: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """Text that tells people what each label means: its ``hint`` if it has one, otherwise its ``value``."""
    nested: bool = False
    """Whether answers are stored as ``[["label"]]``, because the config has ``allowNested``."""
    by_url: bool = False
    """Whether the field holds the URL of the text (``valueType="url"``)."""
    encoding: str = "none"
    """Encoding of a text: ``none``, ``base64`` or ``base64unicode``."""
    multiple: bool = False
    """Whether several choices, or none, may be given, so that an answer is a set of labels (`label_sets`)."""
    required: bool = dataclasses.field(default=False, compare=False)
    """Whether the page insists on a choice or does not always ask. If not, and several choices are allowed, choosing
    nothing is an answer."""
    kind: str = "choices"
    """Type of a result: ``choices``, ``rating`` or ``taxonomy``."""
    paths: tuple[tuple[str, ...], ...] = ()
    """The path to each label, if answers are stored as paths; otherwise empty."""
    markup: str = ""
    """Markup of a text: ``html`` or ``paragraphs``, see `config_objects.Shown`."""
    text_key: str = USUAL_KEY
    """The key under which an utterance of paragraphs has its words."""
    shows: str = ""
    """For a ``Vector``: how people see the object that the question is about: ``Image``, ``Text`` or empty."""
    parts: tuple[ShownObject, ...] = ()
    """For a ``Vector``: the objects that it is made of, which may include numbers from a field of the task."""
    options: str = dataclasses.field(default="", compare=False)
    """Choices that came with the tasks (`config_options`); ``labels`` says which of them belong to this question."""

    @property
    def none_is_an_answer(self) -> bool:
        """Whether people may submit without a choice, which then means that no label fits."""
        return self.multiple and not self.required

    def value(self, data: Mapping[str, Any]) -> Any:
        """The task's value in the field; None if there is none."""
        return field_value(data, self.field)

    def content(self, data: Mapping[str, Any]) -> Any:
        """The task's data that are learnt from."""
        return [field_value(data, part.field) for part in self.parts] if self.parts else self.value(data)

    @property
    def shown_as(self) -> str:
        """How people see the object that the question is about: ``Image``, ``Text``, or empty."""
        return self.shows if self.parts else self.object_tag

    @property
    def content_form(self) -> tuple[Any, ...]:
        """What is read of a task, and how. Equal for questions about the same content."""
        return (self.object_tag, self.field, self.by_url, self.encoding, self.markup, self.text_key, self.parts)

    @property
    def about(self) -> str:
        """What is learnt from, in words."""
        if self.has_numbers:
            return f'the numbers in "${self.parts[0].field}"'
        shown = [(part.tag, part.field) for part in self.parts] or [(self.object_tag, self.field)]
        return " and ".join(f'<{tag}> "${field}"' for tag, field in shown)

    @property
    def has_numbers(self) -> bool:
        """Whether numbers from a field of the task are learnt from; their count is not known from the config."""
        return any(part.object_tag == NUMBERS for part in self.parts)

    @property
    def wanted(self) -> Wanted:
        """The wish that finds this very question in a config again."""
        if self.has_numbers:
            return Wanted(self.control, embedding_field=self.parts[0].field, options=self.options)
        return Wanted(self.control, ",".join(part.name for part in self.parts), options=self.options)


@dataclass(frozen=True)
class LabelingConfig:
    """A labeling config that can be learnt from."""

    question: ChoiceQuestion
    """The leading question: its model versions are stored and measured."""
    warnings: tuple[str, ...] = ()
    """Where annotators see something else than the config suggests, and how that affects the answers."""
    notes: tuple[str, ...] = ()
    """Parts of the config that are not learnt, as sentences without a full stop."""
    others: tuple[ChoiceQuestion, ...] = ()
    """Questions about the same content that are learnt too: they count in the order, and their guesses are shown."""

    def led_by(self, control: str) -> LabelingConfig | None:
        """The same config with another of its questions leading; None if it has no question of this name."""
        learnt = (self.question, *self.others)
        first = next((each for each in learnt if each.control == control), None)
        others = tuple(each for each in learnt if each.control != control)
        return None if first is None else dataclasses.replace(self, question=first, others=others)


def question_from(known: Mapping[str, Any]) -> ChoiceQuestion:
    """Rebuild a question from JSON. Fields that an older release did not write get their defaults.

    Raises:
        KeyError, TypeError: the JSON does not describe a question.
    """
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    paths = tuple(tuple(path) for path in fields.get("paths", ()))
    parts = tuple(ShownObject(**part) for part in fields.get("parts", ()))
    return ChoiceQuestion(**{**fields, "labels": tuple(known["labels"]), "paths": paths, "parts": parts})


def parse_label_config(xml: str, *, project: object = "?", wanted: Wanted = NO_WISH) -> ChoiceQuestion:
    """The leading question of a labeling config.

    Raises:
        LabelConfigError: as `read_label_config`.
    """
    return read_label_config(xml, project=project, wanted=wanted).question


def read_label_config(xml: str, *, project: object = "?", wanted: Wanted = NO_WISH) -> LabelingConfig:
    """Read the questions of a labeling config, with everything worth knowing when a project is connected.

    Args:
        xml: the config.
        project: which project it belongs to, for error messages.
        wanted: which of its questions to learn (by default the first that can be learnt), and from what.

    Raises:
        LabelConfigError: not XML; no question that can be learnt (`config_controls`), or not the wanted one; fewer than
            2 or more than 1,000 classes; an object that cannot be read (`config_objects`); a question that the page
            does not show; an attribute value that the page does not know.
    """
    step = QUESTION_STEP if wanted.question else NEXT_STEP
    try:
        tree = read_tree(xml)
        fill(tree, wanted.options)
        return _read(tree, wanted)
    except ConfigUnreadable as exc:
        reason = f" cannot be read ({exc})."
    except ToCome as exc:
        raise ChoicesToCome(f"The labeling config of project {project}{exc}") from exc
    except Refused as exc:
        reason = str(exc)
    raise LabelConfigError(f"The labeling config of project {project}{reason} {step}")


def _read(tree: ConfigTree, wanted: Wanted) -> LabelingConfig:
    names = Counter(tag.get("name") for tag in tree.tags() if tag.get("name"))
    if doubled := next((name for name, count in names.items() if count > 1), None):
        refuse(f' has two tags named "{doubled}", which Label Studio does not take; rename one.')
    controls = [tag for tag in tree.tags() if is_control(tag)]
    candidates = learnable = [tag for tag in controls if is_learnable(tag)]
    names_wanted = list(dict.fromkeys(filter(None, map(str.strip, wanted.question.split(",")))))
    if names_wanted:
        by_name = {tag.attrib["name"]: tag for tag in candidates}
        if gone := next((name for name in names_wanted if name not in by_name), None):
            refuse(_no_such_question(tree, controls, gone))
        candidates = [by_name[name] for name in names_wanted]
    found, reasons = list[tuple[ChoiceQuestion, tuple[str, ...]]](), list[Refused]()
    for control in candidates:
        try:
            found.append(_question(tree, control, wanted))
        except Refused as exc:
            reasons.append(exc)
    if not found or (names_wanted and reasons):
        # If questions were named, all of them must be learnable; otherwise one is enough. That decides which reason to
        # report.
        if reasons:
            raise sorted(reasons, key=lambda reason: isinstance(reason, ToCome) != (not names_wanted))[0]
        kinds = ", ".join(f"<{name}>" for name in LEARNABLE.values())
        refuse(f" has no question that can be learnt, which is one of {kinds}.")
    question, about = found[0][0], found[0][0].content_form
    others = tuple(each for each, _ in found[1:] if each.content_form == about)
    if names_wanted and len(others) < len(found) - 1:
        refuse(f": {wanted.question} cannot be learnt together; name questions about the same object.")
    learnt = {question.control, *(each.control for each in others)}
    warnings = tuple(dict.fromkeys(text for each, told in found if each.control in learnt for text in told))
    alone = {each.control for each, _ in found} if not names_wanted else {tag.attrib["name"] for tag in learnable}
    aside = [tag for tag in controls if tag.get("name") not in learnt]
    return LabelingConfig(question, warnings, _left_aside(tree, (question, *others), aside, alone), others)


def _no_such_question(tree: ConfigTree, controls: list[Element], name: str) -> str:
    there = ", ".join(f'"{tag.get("name")}"' for tag in controls if is_learnable(tag)) or "none"
    other = next((tag for tag in controls if tag.get("name") == name), None)
    if other is not None:
        return f' has <{tree.spelling[other]} name="{name}">, which cannot be learnt; what can be: {there}.'
    return f' has no question named "{name}"; it asks {there}.'


def _question(tree: ConfigTree, control: Element, wanted: Wanted) -> tuple[ChoiceQuestion, tuple[str, ...]]:
    """The question of one control, with its warnings."""
    asked = answers_of(tree, control)
    tag = objects(tree).get(control.attrib["toname"])
    if tag is None:
        refuse(f": <{tree.spelling[control]}> must point to one object by its toName.")
    shown, parts = learnt_from(tree, tag, wanted)
    warnings = list(hidden(tree, control, "the question"))
    if any(not found.never for found in warnings):  # somebody who does not see it has not answered "none fits"
        asked = dataclasses.replace(asked, required=True)
    for part in parts or (shown,):
        if part.name:
            warnings += hidden(tree, objects(tree)[part.name], f"what <{part.tag}> shows")
    if refused := next((found for found in warnings if found.never), None):
        refuse(f": {refused.text}.")
    made = dataclasses.replace(_made(control.attrib["name"], shown, parts, asked), options=wanted.options)
    return made, (*(found.text for found in warnings), *asked.warnings)


def _made(control: str, shown: ShownObject, parts: tuple[ShownObject, ...], asked: Answers) -> ChoiceQuestion:
    return ChoiceQuestion(
        control,
        shown.name,
        VECTOR if parts else shown.object_tag,
        shown.field,
        asked.labels,
        asked.descriptions,
        nested=asked.nested,
        by_url=shown.by_url,
        encoding=shown.encoding,
        multiple=asked.multiple,
        required=asked.required,
        kind=asked.kind,
        paths=asked.paths,
        markup=shown.markup,
        text_key=shown.text_key,
        shows=shown.object_tag if parts and not shown.many else "",
        parts=parts,
    )


def _left_aside(
    tree: ConfigTree, learnt: tuple[ChoiceQuestion, ...], others: list[Element], alone: set[str]
) -> tuple[str, ...]:
    """Sentences that say what is learnt (if not everything), which controls are not, and which objects are not read."""
    told = _unread_objects(tree, learnt[0])
    names = " and ".join(f'"{each.control}"' for each in learnt)
    if not others:
        return (f"Learnt together: {names}", *told) if len(learnt) > 1 else told
    shown = ", ".join(f'"{tag.get("name")}" (<{tree.spelling[tag]}>)' for tag in others)
    could = [str(tag.get("name")) for tag in others if tag.get("name") in alone]
    more = f"; the setting `question` names others: {', '.join(could)}" if could else ""
    return (f"Learnt: {names}; asked too, but not learnt: {shown}{more}", *told)


def _unread_objects(tree: ConfigTree, question: ChoiceQuestion) -> tuple[str, ...]:
    read = {question.object, *(part.name for part in question.parts)}
    others = {name: tag for name, tag in objects(tree).items() if name not in read and tag.tag in READ_AS}
    if question.has_numbers or not others:
        return ()
    shown = ", ".join(f'"{name}" (<{tree.spelling[tag]}>)' for name, tag in others.items())
    return (f"Shown, but not learnt from: {shown}; the setting `objects` names all that are",)
