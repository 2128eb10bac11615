"""One label for many tasks, as pages and scripts request it: previewed, written in portions, undone.

A person's own Label Studio token proves who they are. It comes with each request, goes to Label Studio and nowhere
else, and is neither stored nor logged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from ml_backend.dashboard.overrides import task_numbers
from ml_backend.dashboard.reading.common import shown_items
from ml_backend.dashboard.reading.search import told
from ml_backend.dashboard.services import Services
from ml_backend.errors import ConfigurationError, LabelStudioNotFound, LabelStudioUnauthorized
from ml_backend.label_studio.client import LabelStudioClient
from ml_backend.label_studio.connection import new_client
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.rounds.bulk import WHY, preview, told_labelled, told_undone
from ml_backend.rounds.bulk_portions import label_portion, undo_portion
from ml_backend.store.bulk_actions import MOST, BulkAction
from ml_backend.store.bulk_actions import read as read_actions
from ml_backend.store.project_store import ProjectStore

SAMPLE: Final = 12
"""Tasks that are shown before they get a label."""
LONGEST_TOKEN: Final = 4_000
NO_COPY: Final = "This machine has no copy of the tasks: rounds run elsewhere. Use lsal label there."
OWN_NAME: Final = (
    'Send your own "token" of Label Studio (there under Account & Settings > Personal Access Token, or Access Token): '
    "the answers are written under your name."
)


def look(store: ProjectStore, body: Any) -> dict[str, Any]:
    """What labelling tasks would do: ``ready``, ``left`` by reason in words, existing ``answers``, and a ``sample``.

    Raises:
        ConfigurationError: the request is malformed, or this machine has no copy of the tasks.
    """
    asked = task_numbers(_object(body), MOST)
    question = store.noted_question()
    if question is None or not store.task_cache_path.exists():
        raise ConfigurationError(NO_COPY)
    found = preview(store, question, TaskCache(store.task_cache_path).find(asked), asked)
    items = shown_items(store, _spread(found.ready))
    left = [{"count": count, "why": WHY[why]} for why, count in Counter(found.left.values()).items()]
    return {
        "ready": list(found.ready),
        "left": left,
        "answers": dict(found.answers),
        "sample": [{"task_id": task, "item": items.get(task)} for task in _spread(found.ready)],
    }


def _spread(tasks: tuple[int, ...]) -> list[int]:
    """A sample that reaches from the first to the last, since the last ones found are the least likely to be meant."""
    if len(tasks) <= SAMPLE:
        return list(tasks)
    return [tasks[round(place * (len(tasks) - 1) / (SAMPLE - 1))] for place in range(SAMPLE)]


def label(services: Services, project_id: int, store: ProjectStore, body: Any) -> dict[str, Any]:
    """Do the next portion of an action; ``done`` tells whether it was the last. Without tasks, continue a known action.

    Raises:
        ConfigurationError: the request is malformed, or Label Studio does not accept the token.
        LabelStudioError: Label Studio failed; send the same request again.
    """
    sent, action_id = _object(body), _action(body)
    if "task_ids" in sent:
        name, tasks = sent.get("label"), task_numbers(sent, MOST)
        if not isinstance(name, str):
            raise ConfigurationError('"label" must be one of the labels of the project.')
    else:
        known = read_actions(store).get(action_id)
        if known is None:
            raise ConfigurationError("Nothing is known about this action; send its label and task_ids as well.")
        name, tasks = known.label, list(known.tasks)
    now = datetime.now(UTC).isoformat(timespec="seconds")

    def portion(client: LabelStudioClient) -> BulkAction:
        return label_portion(client, store, project_id, action_id, name, tasks, now=now)

    action = _as_person(services, sent, portion)
    return told(action) | {"done": action.state != "unfinished", "message": told_labelled(action)}


def undo(services: Services, project_id: int, store: ProjectStore, body: Any) -> dict[str, Any]:
    """Undo the next portion of an action; ``done`` tells whether it was the last.

    Raises:
        ConfigurationError: as `label`.
        LabelStudioError: Label Studio failed; send the same request again.
    """
    sent, action_id = _object(body), _action(body)
    action = _as_person(services, sent, lambda client: undo_portion(client, store, project_id, action_id))
    return told(action) | {"done": action.state == "undone", "message": told_undone(action)}


def _as_person(services: Services, body: dict[str, Any], work: Callable[[LabelStudioClient], BulkAction]) -> BulkAction:
    """Do the work with the account of the person who asks."""
    token = body.get("token")
    if not isinstance(token, str) or not token.strip() or len(token) > LONGEST_TOKEN:
        raise ConfigurationError(OWN_NAME)
    try:
        with closing(new_client(services.settings, key=token.strip())) as client:
            return work(client)
    except LabelStudioUnauthorized as exc:
        # Label Studio's message names our own setting, which has nothing to do with this token.
        raise ConfigurationError(f"Label Studio does not take this token, or not for this. {OWN_NAME}") from exc
    except LabelStudioNotFound as exc:
        raise ConfigurationError(f"{exc}") from exc


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ConfigurationError("The request's body must be a JSON object.")
    return body


def _action(body: Any) -> str:
    action = body.get("action")
    if not isinstance(action, str):
        raise ConfigurationError('"action" must be 32 hexadecimal digits, new for each action.')
    return action
