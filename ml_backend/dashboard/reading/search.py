"""Which tasks of the pool somebody looks for, as plain rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ml_backend.config import ProjectSettings
from ml_backend.dashboard.reading.common import question_of, shown_items
from ml_backend.dashboard.reading.likeness import vectors_of
from ml_backend.dashboard.reading.pool import STATES, TaskFacts, facts_of, filter_from
from ml_backend.errors import ConfigurationError
from ml_backend.label_sets import shown as shown_label
from ml_backend.models.texts import read_text
from ml_backend.store.bulk_actions import MOST, BulkAction
from ml_backend.store.bulk_actions import read as read_actions
from ml_backend.store.project_store import ProjectStore

PAGE: Final = 24
"""Tasks shown at once."""
MOST_ROWS: Final = 200
"""Tasks that one request may ask for."""
NEAREST: Final = 100
"""Tasks found by likeness, unless another number is asked for."""
FIELDS: Final = ("words", "like", "text", "label", "guess", "least", "most", "state", "nearest")
"""What the query of the address may ask for."""


@dataclass(frozen=True)
class Found:
    """The tasks that were found, by likeness if that was asked for, otherwise by ascending id."""

    tasks: tuple[TaskFacts, ...]
    likeness: Mapping[int, float]
    """Task → cosine in [-1, 1]; empty if likeness was not asked for."""
    without_vector: int = 0
    """Tasks that match otherwise, but whose likeness is not known."""


def find(store: ProjectStore, settings: ProjectSettings, parameters: Mapping[str, str]) -> Found:
    """The tasks that the query of an address asks for.

    Raises:
        ConfigurationError: it asks for something malformed, or likeness is not known.
        StoreError: something stored is damaged.
    """
    wanted = filter_from(parameters)
    like, text = parameters.get("like", "").strip(), parameters.get("text", "").strip()
    nearest = whole(parameters, "nearest", NEAREST)
    facts = tuple(each for each in facts_of(store) if wanted.passes(each))
    if not like and not text:
        return Found(facts, {})
    if like and text:
        raise ConfigurationError("Look for what is like a task or like a text, not both at once.")
    task_id = whole(parameters, "like", 0)
    vectors = vectors_of(store, settings)
    likeness = vectors.like_task(task_id) if like else vectors.like_text(read_text(text))
    known = [each for each in facts if each.id in likeness and each.id != task_id]
    ordered = sorted(known, key=lambda each: (-likeness[each.id], each.id))[:nearest]
    lacking = len(facts) - len(known) - any(each.id == task_id for each in facts)
    return Found(tuple(ordered), {each.id: likeness[each.id] for each in ordered}, lacking)


def read(store: ProjectStore, settings: ProjectSettings, parameters: Mapping[str, str]) -> dict[str, Any]:
    """``rows`` of what is found from ``start`` on (0 is first), ``ids`` of all, and the actions on many tasks so far.

    A row has ``task_id``, ``state``, ``label``, ``guess`` and its ``probability``, ``likeness`` (cosine),
    ``is_control`` and ``item``, what people are shown. ``problem`` says why nothing could be found. Guesses for control
    tasks are hidden.
    """
    question, problem = question_of(store), None
    found = Found((), {})
    start, count = 0, PAGE
    try:
        start, count = whole(parameters, "start", 0), min(max(whole(parameters, "count", PAGE), 1), MOST_ROWS)
        found = find(store, settings, parameters)
    except ConfigurationError as exc:
        problem = str(exc)
    total = len(found.tasks)
    start = max(0, min(start, (total - 1) // count * count)) if total else 0
    shown = found.tasks[start : start + count]
    items = shown_items(store, [each.id for each in shown])
    return {
        "asked": {name: parameters[name] for name in FIELDS if parameters.get(name)},
        "problem": problem,
        "kind": question.shown_as,
        "labels": list(question.labels),
        "states": dict(STATES),
        "total": total,
        "start": start,
        "count": count,
        "most": MOST,
        "ids": [each.id for each in found.tasks[:MOST]],
        "without_vector": found.without_vector,
        "rows": [row_of(each, found.likeness) | {"item": items.get(each.id)} for each in shown],
        "actions": actions(store),
    }


TOLD: Final = ("label", "guess")


def row_of(facts: TaskFacts, likeness: Mapping[int, float]) -> dict[str, Any]:
    """A found task, without what people are shown of it; see `read`."""
    row = {name: value for name, value in asdict(facts).items() if name not in ("words", "id")}
    row |= {name: value if value is None else shown_label(str(value)) for name, value in row.items() if name in TOLD}
    alike = likeness.get(facts.id)
    return {"task_id": facts.id, **row, "likeness": None if alike is None else round(alike, 4)}


def actions(store: ProjectStore) -> list[dict[str, Any]]:
    """The actions on many tasks, the newest first; see `told`."""
    return [told(action) for action in reversed(read_actions(store).values())]


def told(action: BulkAction) -> dict[str, Any]:
    """An action in numbers: how many ``tasks``, ``looked_at``, ``written``, ``left`` and ``kept`` by reason."""
    return {
        "action": action.id,
        "label": action.label,
        "email": action.email,
        "started": action.started,
        "state": action.state,
        "tasks": len(action.tasks),
        "looked_at": action.place,
        "written": len(action.written),
        "left": dict(Counter(action.left.values())),
        "taken_back": len(action.taken_back),
        "kept": dict(Counter(action.kept.values())),
    }


def whole(parameters: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from a query.

    Raises:
        ConfigurationError: it is not one.
    """
    text = parameters.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 13):
        raise ConfigurationError(f'"{name}" must be a number, such as {name}=50.')
    return int(text)
