"""Answers that somebody gave to many tasks at once: what was requested, how far it got, and what was undone.

Label Studio itself knows which annotations belong to such an action (`label_studio.answers.bulk_action`). Here is what
was requested, so that an interrupted action can continue where it stopped, and the whole of it can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.store.documents import BULK_ACTIONS
from ml_backend.store.project_store import ProjectStore

KEPT: Final = 50
"""Number of actions that are remembered and can be undone."""
MOST: Final = 2_000
"""Most tasks of one action: Label Studio writes only some per second, and a person looks through them beforehand."""


@dataclass(frozen=True)
class BulkAction:
    """One label for many tasks."""

    id: str
    label: str
    account: int
    """The account whose annotations they are."""
    email: str
    started: str
    tasks: tuple[int, ...]
    """The requested tasks, in the order in which they are written."""
    place: int = 0
    """How many of them are done with."""
    written: Mapping[int, int] = field(default_factory=dict)
    """Task → the annotation that it got."""
    left: Mapping[int, str] = field(default_factory=dict)
    """Task → why it got none."""
    undoing: bool = False
    """Whether somebody asked to undo all of it; nothing more is written then."""
    taken_back: tuple[int, ...] = ()
    kept: Mapping[int, str] = field(default_factory=dict)
    """Task → why its annotation was not deleted when the action was undone."""

    @property
    def state(self) -> str:
        """``unfinished``, ``done``, ``undoing`` or ``undone``."""
        if self.undoing:
            return "undone" if len(self.taken_back) + len(self.kept) >= len(self.written) else "undoing"
        return "done" if self.place >= len(self.tasks) else "unfinished"


def read(store: ProjectStore) -> dict[str, BulkAction]:
    """A project's actions by id, the oldest first.

    Raises:
        StoreError: the document is damaged.
    """
    return _parsed(store, store.document(BULK_ACTIONS))


def begin(store: ProjectStore, action: BulkAction) -> BulkAction:
    """Note an action before any of it is done. An action that is known already continues as it was first requested.

    Raises:
        ConfigurationError: something else was requested under this id, or the action was undone.
        StoreError: it cannot be noted.
    """

    def begun(known: BulkAction | None) -> BulkAction:
        if known is None:
            return action
        if (known.label, known.tasks, known.account) != (action.label, action.tasks, action.account):
            raise ConfigurationError("This action began with other tasks, label or account; look at the tasks again.")
        if known.undoing:
            raise ConfigurationError("This action was undone; choose the tasks again to label them anew.")
        return known

    return change(store, action.id, begun)


def change(store: ProjectStore, action_id: str, changed: Callable[[BulkAction | None], BulkAction]) -> BulkAction:
    """Change the record of one action. If two people do so at once, neither change is lost."""

    def edited(content: dict[str, Any]) -> dict[str, Any]:
        actions = _parsed(store, content)
        actions[action_id] = changed(actions.get(action_id))
        return {"actions": [asdict(each) for each in list(actions.values())[-KEPT:]]}

    return _parsed(store, store.edit_document(BULK_ACTIONS, edited))[action_id]


def _parsed(store: ProjectStore, content: Mapping[str, Any]) -> dict[str, BulkAction]:
    known = {each.name for each in fields(BulkAction)}
    try:
        found = [
            BulkAction(
                **{name: value for name, value in row.items() if name in known}
                | {name: tuple(map(int, row[name])) for name in ("tasks", "taken_back")}
                | {"written": {int(task): int(annotation) for task, annotation in row["written"].items()}}
                | {name: {int(task): str(why) for task, why in row[name].items()} for name in ("left", "kept")}
            )
            for row in content.get("actions", ())
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise StoreError(
            f"{store.folder / BULK_ACTIONS} is damaged ({exc}); delete it; the actions in it can then not be undone."
        ) from exc
    return {action.id: action for action in found}
