"""Reads from a control of a labeling config which answers it accepts, and how Label Studio stores them.

What the page stores was tried with 1.23.2. A ``<Choice>`` inside another is shown only with ``allowNested``, and the
answer is the path to it: ``[["A", "A1"]]``. Ticking the outer choice ticks everything inside it; once all inner ones
are ticked, the path to the outer one is stored as well. A ``<Taxonomy>`` stores paths too, to branches as well as to
leaves. A ``<Rating>`` stores a number.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from ml_backend.label_studio.config_refusals import ToCome, refuse
from ml_backend.label_studio.config_tree import ConfigTree, is_control
from ml_backend.label_studio.config_words import check_words
from ml_backend.label_studio.task_fields import VARIABLE

MIN_CLASSES, MAX_CLASSES = 2, 1_000
SINGLE_CHOICE: Final = ("single", "single-radio")
MULTIPLE_CHOICE: Final = "multiple"
LEARNABLE: Final = {"choices": "Choices", "rating": "Rating", "taxonomy": "Taxonomy"}
"""The controls that can be learnt: the tag in lower case, and as Label Studio writes it."""
USUAL_STARS: Final = 5
"""Number of stars of a ``<Rating>`` that does not set ``maxRating``."""
BETWEEN: Final = " > "
"""Joins the parts of a path where several branches have a leaf of the same name, so that the name is not enough."""


@dataclass(frozen=True)
class Answers:
    """The answers that a control accepts."""

    kind: str
    """Type of its results: ``choices``, ``rating`` or ``taxonomy``."""
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...] = ()
    """The path to each label, if answers are stored as paths of several parts; otherwise empty."""
    nested: bool = False
    multiple: bool = False
    required: bool = False
    warnings: tuple[str, ...] = ()


def is_learnable(tag: Element) -> bool:
    """Whether a tag is a control that can be learnt."""
    return tag.tag in LEARNABLE and is_control(tag)


def answers_of(tree: ConfigTree, control: Element) -> Answers:
    """The answers that a control accepts.

    Raises:
        Refused: they cannot be learnt.
    """
    _check(tree, control)
    if "true" in (control.get("perregion"), control.get("peritem"), control.get("labeling")):
        refuse(" asks per region or per item; ask once per task.")
    if control.tag == "rating":
        return _rating(control)
    if control.get("apiurl") or ("$" in control.get("value", "") and control.tag == "taxonomy"):
        refuse(f" takes its choices from the task; list them as <Choice> tags in <{LEARNABLE[str(control.tag)]}>.")
    return _taxonomy(tree, control) if control.tag == "taxonomy" else _choices(tree, control)


def _check(tree: ConfigTree, tag: Element) -> None:
    if (unknown := check_words(tag)) is not None:
        refuse(f": <{tree.spelling[tag]}> has {unknown}.")


def _rating(control: Element) -> Answers:
    written = control.get("maxrating", str(USUAL_STARS))
    if not (written.isdecimal() and MIN_CLASSES <= int(written) <= MAX_CLASSES):
        refuse(f' has <Rating maxRating="{written}">; {MIN_CLASSES} to {MAX_CLASSES:,} stars are supported.')
    labels = tuple(map(str, range(1, int(written) + 1)))
    warnings = []
    if control.get("defaultvalue"):
        warnings.append(
            f"{control.get('defaultvalue')} stars are set when a task opens: pressing only Submit counts as that answer"
        )
    return Answers("rating", labels, labels, required=control.get("required") == "true", warnings=tuple(warnings))


def _taxonomy(tree: ConfigTree, control: Element) -> Answers:
    tags = _choice_tags(tree, control)
    leaves = [tag for tag in tags if tag.find("choice") is None]
    paths = tuple(_way(tree, tag) for tag in leaves)
    labels = _names(paths)
    _check_labels(labels, "leaves")
    name, warnings, most = control.get("name"), [], control.get("maxusages", "")
    multiple = most.isdecimal() and int(most) > 1
    if not multiple and most != "1":
        warnings.append(
            f'Annotators can choose several leaves of <Taxonomy name="{name}">, and such answers are left out; set '
            'maxUsages="1", or a higher number so that sets of leaves are learnt'
        )
    if len(leaves) < len(tags) and control.get("leafsonly") != "true":
        warnings.append(
            f'Annotators can answer <Taxonomy name="{name}"> with a branch, which is not a class, and such answers are '
            'left out; set leafsOnly="true"'
        )
    described = _descriptions(leaves, tuple(BETWEEN.join(path) for path in paths), own=len(leaves) == len(tags))
    required = control.get("required") == "true"
    return Answers("taxonomy", labels, described, paths, multiple=multiple, required=required, warnings=tuple(warnings))


def _choices(tree: ConfigTree, control: Element) -> Answers:
    choice = control.get("choice", "single")
    if choice not in (*SINGLE_CHOICE, MULTIPLE_CHOICE):
        refuse(f' has <Choices choice="{choice}">; set choice="single" or choice="multiple".')
    nested, required = control.get("allownested") == "true", control.get("required") == "true"
    if "$" in control.get("value", ""):
        raise ToCome(
            f" takes its choices from the tasks ({control.get('value')}), and there are no tasks yet to know them by. "
            "Import tasks that all have the same list there, or list them as <Choice> tags in Settings > Labeling "
            "Interface."
        )
    tags = _choice_tags(tree, control)
    if len(ways := [tag for tag in tags if tag.find("choice") is None]) < len(tags):
        return _nested(tree, control, tags, ways)
    labels = tuple(_stored(tag) for tag in tags)
    _check_labels(labels, "choices")
    return Answers(
        "choices",
        labels,
        _descriptions(tags, labels),
        nested=nested,
        multiple=choice == MULTIPLE_CHOICE,
        required=required,
        warnings=(*_alike(tags, labels), *_about_choices(tags, labels)),
    )


def _nested(tree: ConfigTree, control: Element, tags: list[Element], leaves: list[Element]) -> Answers:
    if control.get("allownested") != "true":
        refuse(
            " has nested <Choice> tags, of which the page shows only the outer ones; make them one flat list, or set "
            'allowNested="true".'
        )
    paths = tuple(_way(tree, tag) for tag in leaves)
    labels = _names(paths)
    _check_labels(labels, "innermost choices")
    multiple = control.get("choice") == MULTIPLE_CHOICE
    outer = next(_stored(tag) for tag in tags if tag not in leaves)
    told = f"Choosing {outer!r} chooses everything inside it, and such answers are left out"
    described = _descriptions(leaves, tuple(BETWEEN.join(path) for path in paths), own=False)
    warnings = (*(() if multiple else (told,)), *_about_choices(leaves, labels))
    required = control.get("required") == "true"
    return Answers("choices", labels, described, paths, True, multiple, required, warnings)


def _choice_tags(tree: ConfigTree, control: Element) -> list[Element]:
    choices = list(control.iter("choice"))
    inside = {tree.spelling[tag] for tag in control}
    written = LEARNABLE[str(control.tag)]
    if choices and tree.spelling[control] == written and not inside & {"Choice", "View"}:
        refuse(f" has <{tree.spelling[choices[0]]}> in <{written}>, which Label Studio does not take; write <Choice>.")
    for tag in choices:
        _check(tree, tag)
        if VARIABLE.search(tag.get("value", "")) and not tag.get("alias"):
            refuse(
                f' has <Choice value="{tag.get("value")}">, which annotators see, and Label Studio stores, with what '
                "each task has in its place; list the choices by their names, without $, or give each an alias."
            )
    return choices


def _stored(choice: Element) -> str:
    return str(choice.get("alias", choice.get("value", "")))  # an empty alias is stored too, as ""


def _way(tree: ConfigTree, choice: Element) -> tuple[str, ...]:
    """The path to a choice: all choices around it, the outermost first, and itself."""
    inner_first = [_stored(tag) for tag in tree.with_parents(choice) if tag.tag == "choice"]
    return tuple(reversed(inner_first))


def _names(paths: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Names for the leaves: their own, or their whole path if several leaves share the name."""
    counts = Counter(path[-1] for path in paths)
    return tuple(path[-1] if counts[path[-1]] == 1 else BETWEEN.join(path) for path in paths)


def _check_labels(labels: tuple[str, ...], what: str) -> None:
    doubled = [label for label, count in Counter(labels).items() if count > 1 or not label]
    if doubled:
        refuse(f" has an empty or doubled choice: {doubled[0]!r}.")
    if not MIN_CLASSES <= len(labels) <= MAX_CLASSES:
        refuse(f" has {len(labels):,} {what}; {MIN_CLASSES} to {MAX_CLASSES:,} are supported.")


def _descriptions(choices: list[Element], labels: tuple[str, ...], *, own: bool = True) -> tuple[str, ...]:
    """Text that explains each choice to people: its hint, else (if ``own``) the words shown for it, else its label."""
    said = (tag.get("hint", "").strip() or (_own_words(tag) if own else "") for tag in choices)
    return tuple(text or label for text, label in zip(said, labels, strict=True))


def _own_words(choice: Element) -> str:
    """The words that the page shows for a choice; empty if they differ between tasks."""
    value = choice.get("value", "").strip()
    return "" if VARIABLE.search(value) else value


def _alike(choices: list[Element], labels: tuple[str, ...]) -> list[str]:
    """Warn of choices that people confuse, because they differ only in spaces, invisible characters or case."""
    groups: dict[str, list[str]] = {}
    for tag, label in zip(choices, labels, strict=True):
        shown = tag.get("value") if _own_words(tag) else None
        plain = unicodedata.normalize("NFKC", shown or label).casefold()
        key = "".join(sign for sign in plain if not (sign.isspace() or unicodedata.category(sign) == "Cf"))
        groups.setdefault(key, []).append(shown or label)
    return [
        f"The choices {' and '.join(map(repr, group))} are easily confused; rename them, or keep only one"
        for group in groups.values()
        if len(group) > 1
    ]


def _about_choices(choices: list[Element], labels: tuple[str, ...]) -> tuple[str, ...]:
    warnings = []
    for tag, label in zip(choices, labels, strict=True):
        if VARIABLE.search(tag.get("value", "")):
            warnings.append(
                f"Instead of the choice {label!r}, annotators see what each task has for {tag.get('value')!r}; the "
                f"model knows it only as {label!r}"
            )
        elif not (tag.get("value") or tag.get("html")):
            warnings.append(f"Annotators see a choice without text, which is stored as {label!r}")
        if tag.get("selected") == "true":
            warnings.append(
                f"{label!r} is already chosen when a task opens: pressing only Submit counts as that answer"
            )
        if tag.get("visible") == "false":
            warnings.append(f"Annotators do not see the choice {label!r}")
        if tag.get("readonly") == "true":
            warnings.append(f"Annotators cannot choose {label!r}: it is readonly")
    return tuple(warnings)
