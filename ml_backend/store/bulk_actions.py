"""Answers that people gave to many tasks at once: what was meant, how far it came, and what was taken back.

Whether an annotation is one of them, Label Studio itself knows (`label_studio.answers.bulk_action`). What stands here
is what was asked for, so that an action that was broken off goes on where it was, and all of it can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.store.documents import BULK_ACTIONS
from ml_backend.store.project_store import ProjectStore

KEPT: Final = 50
"""Actions that are remembered, and can be undone."""
MOST: Final = 2_000
"""Tasks of one action: Label Studio takes some of them a second, and a person looks at what they are."""


@dataclass(frozen=True)
class BulkAction:
    """One label for many tasks."""

    id: str
    label: str
    account: int
    """Whose annotations they are."""
    email: str
    started: str
    tasks: tuple[int, ...]
    """Those that were asked for, in the order in which they are written."""
    place: int = 0
    """How many of them have been looked at."""
    written: Mapping[int, int] = field(default_factory=dict)
    """Task → the annotation that it got."""
    left: Mapping[int, str] = field(default_factory=dict)
    """Task → why it got none."""
    undoing: bool = False
    """Somebody asked for all of it to be taken back; nothing more is written."""
    taken_back: tuple[int, ...] = ()
    kept: Mapping[int, str] = field(default_factory=dict)
    """Task → why its annotation was not taken back."""

    @property
    def state(self) -> str:
        """``unfinished``, ``done``, ``undoing`` or ``undone``."""
        if self.undoing:
            return "undone" if len(self.taken_back) + len(self.kept) >= len(self.written) else "undoing"
        return "done" if self.place >= len(self.tasks) else "unfinished"


def read(store: ProjectStore) -> dict[str, BulkAction]:
    """A project's actions by their ids, the oldest first.

    Raises:
        StoreError: the document is damaged.
    """
    return _parsed(store, store.document(BULK_ACTIONS))


def begin(store: ProjectStore, action: BulkAction) -> BulkAction:
    """Note an action before any of it is done; one that is known goes on as it was asked for first.

    Raises:
        ConfigurationError: something else was asked for under this id, or it was undone. StoreError.
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
    """Change what is noted of one action; of two people at once neither loses anything."""

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
            f"{store.folder / BULK_ACTIONS} is damaged ({exc}); delete it: what it tells can then not be undone."
        ) from exc
    return {action.id: action for action in found}
