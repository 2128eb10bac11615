"""What people want of the order: which tasks come first, and which are not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ml_backend.dashboard import words
from ml_backend.dashboard.services import Services
from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds.request import RoundRequest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import ACTIONS, MOST, change

DONE: Final = {
    "boost": "will be asked next",
    "pin": "will be asked first, after those that were pinned before",
    "drop": "will not be asked",
    "undo": "back to the model's own choice",
}


def override(services: Services, project_id: int, store: ProjectStore, body: Any) -> dict[str, Any]:
    """Change the overrides and ask for a round that reorders without training. Returns a message for the person.

    Tasks that are answered, skipped, held out or deleted cannot have overrides; they are left out and counted.

    Raises:
        ConfigurationError: the request is malformed, none of its tasks is open, or rounds cannot run.
    """
    if not isinstance(body, dict) or not isinstance(body.get("action"), str):
        raise ConfigurationError(f'Send {{"action": ..., "task_ids": [...]}} with one of: {", ".join(ACTIONS)}.')
    action, task_ids = body["action"], task_numbers(body, MOST)
    taken = task_ids if action == "undo" else _open(store, task_ids)
    if task_ids and not taken:
        raise ConfigurationError("None of these tasks is open: they are answered, skipped, held out, or gone.")
    now = change(store, action, taken)
    services.ask(RoundRequest(project_id, train=False))
    told = f"{words.count(len(taken), 'task')} {DONE[action]}."
    if len(taken) < len(task_ids):
        left = len(task_ids) - len(taken)
        told += f" {words.count(left, 'task')} left out: answered, skipped, held out, or gone."
    return {
        "message": f"{told} The new order is on its way.",
        "taken": taken,
        "front": now.front,
        "dropped": now.dropped,
    }


def task_numbers(body: Mapping[str, Any], most: int) -> list[int]:
    """The tasks that a request is about.

    Raises:
        ConfigurationError: they are malformed, or too many.
    """
    task_ids = body.get("task_ids")
    if not isinstance(task_ids, list) or not all(type(task) is int and 0 < task < 2**63 for task in task_ids):
        raise ConfigurationError('"task_ids" must be a list of task numbers, at least one.')
    if len(task_ids) > most:
        raise ConfigurationError(f"At most {most:,} tasks at once; choose fewer.")
    return task_ids


def _open(store: ProjectStore, task_ids: Sequence[int]) -> list[int]:
    """Those that a queue could contain, by what the last round read; all of them if rounds run on another machine."""
    if not store.task_cache_path.exists():
        return list(task_ids)
    can_be_asked = {
        task.id
        for task in TaskCache(store.task_cache_path).find(task_ids)
        if not (task.is_labeled or task.is_evaluation or task.is_skipped)
    }
    return [task for task in task_ids if task in can_be_asked]
