"""What people want of the order regardless of the model: tasks to ask first, and tasks not to ask.

An override stands until its task is answered, skipped or deleted, or until somebody takes it back. A round puts the
front before its own picks and leaves dropped tasks out. Overrides depend on what people saw in a task, which control
tasks must not, so a task with an override is never a control task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.store.documents import WISHES
from ml_backend.store.project_store import ProjectStore

MOST: Final = 5_000
"""Most overrides of each kind in a project; anything beyond is a strategy, not an override."""


@dataclass(frozen=True)
class QueueOverrides:
    """What people want of one project's order. No task is in both lists."""

    front: tuple[int, ...] = ()
    """Ids of tasks to ask before all others, in this order."""
    dropped: tuple[int, ...] = ()
    """Ids of tasks not to ask, the oldest override first."""


def boost(overrides: QueueOverrides, task_ids: Sequence[int]) -> QueueOverrides:
    """Ask these next, in this order, before everything that others want first."""
    rest = undo(overrides, task_ids)
    return QueueOverrides((*dict.fromkeys(task_ids), *rest.front), rest.dropped)


def pin(overrides: QueueOverrides, task_ids: Sequence[int]) -> QueueOverrides:
    """Ask these first, but after what is wanted first already, which keeps its place."""
    new = [task for task in dict.fromkeys(task_ids) if task not in set(overrides.front)]
    return QueueOverrides((*overrides.front, *new), undo(overrides, new).dropped)


def drop(overrides: QueueOverrides, task_ids: Sequence[int]) -> QueueOverrides:
    """Do not ask these."""
    new = [task for task in dict.fromkeys(task_ids) if task not in set(overrides.dropped)]
    return QueueOverrides(undo(overrides, new).front, (*overrides.dropped, *new))


def undo(overrides: QueueOverrides, task_ids: Iterable[int]) -> QueueOverrides:
    """Remove all overrides of these tasks."""
    gone = set(task_ids)
    return QueueOverrides(
        tuple(task for task in overrides.front if task not in gone),
        tuple(task for task in overrides.dropped if task not in gone),
    )


ACTIONS: Final[Mapping[str, Callable[[QueueOverrides, Sequence[int]], QueueOverrides]]] = {
    "boost": boost,
    "pin": pin,
    "drop": drop,
    "undo": undo,
}
"""By the word that the API accepts."""


def read(store: ProjectStore) -> QueueOverrides:
    """A project's overrides.

    Raises:
        StoreError: the document is damaged.
    """
    return _parsed(store, store.document(WISHES))


def change(store: ProjectStore, action: str, task_ids: Sequence[int]) -> QueueOverrides:
    """Add or remove overrides. If two people do so at once, neither change is lost.

    Raises:
        ConfigurationError: an unknown action, malformed ids, or too many overrides.
        StoreError: they cannot be written.
    """
    if action not in ACTIONS:
        raise ConfigurationError(f"Unknown action {action!r}; known: {', '.join(ACTIONS)}.")
    if not task_ids or not all(isinstance(task, int) and not isinstance(task, bool) and task > 0 for task in task_ids):
        raise ConfigurationError('"task_ids" must be a list of task numbers, at least one.')

    def changed(content: dict[str, Any]) -> dict[str, Any]:
        found = ACTIONS[action](_parsed(store, content), task_ids)
        if max(len(found.front), len(found.dropped)) > MOST:
            raise ConfigurationError(f"At most {MOST:,} tasks can be asked first, and as many dropped; choose fewer.")
        return asdict(found)

    return _parsed(store, store.edit_document(WISHES, changed))


def forget(store: ProjectStore, task_ids: Iterable[int]) -> None:
    """Remove the overrides of tasks that are no longer open."""
    gone = set(task_ids)
    if gone:
        store.edit_document(WISHES, lambda content: asdict(undo(_parsed(store, content), gone)))


def _parsed(store: ProjectStore, content: Mapping[str, Any]) -> QueueOverrides:
    try:
        front, dropped = content.get("front", ()), content.get("dropped", ())
        return QueueOverrides(tuple(map(int, front)), tuple(map(int, dropped)))
    except (TypeError, ValueError) as exc:
        raise StoreError(
            f"{store.folder / WISHES} is damaged ({exc}); delete it; the overrides are then lost."
        ) from exc
