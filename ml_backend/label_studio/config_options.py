"""Choices that come with the tasks (``<Choices value="$options">``), supported if all tasks have the same ones.

The page (1.23.2) makes a ``<Choice>`` from each object in the task's list, such as ``{"value": "A"}``, with all of its
keys. Label Studio's server knows none of these choices, and accepts any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement  # makes tags; defusedxml parses

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.config_refusals import refuse
from ml_backend.label_studio.config_tree import ConfigTree, ConfigUnreadable, read_tree
from ml_backend.label_studio.task_fields import FIELD, field_value
from ml_backend.records import Task

ATTRIBUTES: Final = ("value", "alias", "hint", "html", "selected", "visible", "readonly")
"""Keys of an option that a ``<Choice>`` has as attributes and that matter here; the others only change its looks."""
SHOWN: Final = 5
"""Number of choices that an error message lists."""
Options = Mapping[str, list[Mapping[str, Any]]]


def option_fields(xml: str) -> tuple[str, ...]:
    """The task fields that choices come from; empty if the config cannot be read."""
    if "$" not in xml:
        return ()
    try:
        return tuple(dict.fromkeys(field for _, field in _asking(read_tree(xml))))
    except ConfigUnreadable:
        return ()


def shared_options(xml: str, tasks: Iterable[Task], *, project: object = "?") -> str:
    """The choices that all tasks have in these fields, as JSON; empty if there are no such fields or no tasks.

    Raises:
        LabelConfigError: tasks have different choices, or something else in such a field.
    """
    fields, found, first = option_fields(xml), dict[str, Any](), dict[str, tuple[Any, int]]()
    for task in tasks if fields else ():
        for field in fields:
            options = field_value(task.data, field)
            _check(options, task.id, field, project)
            key = sorted(json.dumps(option, sort_keys=True) for option in options)
            known, before = first.setdefault(field, (key, task.id))
            found.setdefault(field, options)
            if key != known:
                raise LabelConfigError(
                    f'The choices of project {project} come from the tasks\' field "{field}", '
                    f"but tasks have different ones: task {before} {_some(found[field])}, task {task.id} "
                    f"{_some(options)}. A question can be learnt only if all have the same; give all tasks the same "
                    f"list. "
                    "The old order stands."
                )
    return json.dumps(found) if found else ""


def fill(tree: ConfigTree, options: str) -> None:
    """Put choices that come with the tasks into the config, in place of the field that they come from."""
    known: Options = json.loads(options) if options else {}
    for control, field in _asking(tree):
        if field in known:
            if control.find(".//choice") is not None:
                refuse(
                    f' has <Choice> tags in <Choices value="${field}">; Label Studio then takes no guesses of those '
                    "that come with the tasks: keep one or the other."
                )
            del control.attrib["value"]
            for option in known[field]:
                _add(tree, control, option)


def _asking(tree: ConfigTree) -> Iterator[tuple[Element, str]]:
    for tag in list(tree.tags()):
        field = FIELD.fullmatch(tag.get("value", "")) if tag.tag == "choices" else None
        if field is not None:
            yield tag, field.group(1)


def _add(tree: ConfigTree, parent: Element, option: Mapping[str, Any]) -> None:
    words = {True: "true", False: "false"}
    told = {name: words.get(option[name], option[name]) for name in ATTRIBUTES if option.get(name) is not None}
    tag = SubElement(parent, "choice", {name: str(value) for name, value in told.items()})
    tree.spelling[tag], tree.parents[tag] = "Choice", parent
    for inner in option.get("children") or ():
        _add(tree, tag, inner)


def _check(options: Any, task: int, field: str, project: object) -> None:
    if not isinstance(options, list) or not options or not all(_is_option(option) for option in options):
        raise LabelConfigError(
            f'The choices of project {project} come from the tasks\' field "{field}", and task {task} has no list of '
            'choices there, such as [{"value": "yes"}, {"value": "no"}], which is what Label Studio\'s page shows. '
            "Correct or delete that task. The old order stands."
        )


def _is_option(option: Any) -> bool:
    inside = option.get("children") or () if isinstance(option, Mapping) else ()
    return isinstance(option, Mapping) and isinstance(option.get("value"), str) and all(map(_is_option, inside))


def _some(options: Iterable[Mapping[str, Any]]) -> str:
    names = [str(option["value"]) for option in options]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"has {', '.join(names[:SHOWN])}{more}"
