"""One label for many tasks at once: written under the person's own name, and taken back as one.

An action is done in portions, so that no request takes long and nothing waits in the background with somebody's token.
Whoever asks again for the same action goes on where it was: a task's annotation has an id of its own in Label Studio
(``unique_id``), which takes it once, whoever asks, and however often.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ml_backend.errors import ConfigurationError, LabelStudioConflict, LabelStudioError, LabelStudioNotFound
from ml_backend.label_studio.answers import annotation_result, bulk_action
from ml_backend.label_studio.client import LabelStudioClient, task_from_row
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_rows import parse_time
from ml_backend.records import Task
from ml_backend.rounds.asked import question_of
from ml_backend.rounds.bulk import ANSWERED, CHANGED, GONE, control_tasks, why_not
from ml_backend.store import bulk_actions
from ml_backend.store.bulk_actions import MOST, BulkAction
from ml_backend.store.project_store import ProjectStore

PORTION: Final = 10
"""Tasks that are read, and then written, together: a second or two of Label Studio's time."""
ACTION: Final = re.compile(r"[0-9a-f]{32}")
"""The id of an action: a UUID."""
UNCHANGED: Final = 1.0
"""Seconds between creation and last change of an annotation that nobody edited."""


def label_portion(
    client: LabelStudioClient,
    store: ProjectStore,
    project_id: int,
    action_id: str,
    label: str,
    task_ids: Sequence[int],
    *,
    now: str,
) -> BulkAction:
    """Do the next portion of an action; the first call begins it.

    Args:
        client: of the person whose annotations they are.
        store: the project's.
        project_id: the project.
        action_id: 32 hexadecimal digits, made by whoever asks.
        label: one of the labeling config's.
        task_ids: all tasks of the action, at most `MOST`; the same in each call.
        now: the time, for people.

    Raises:
        ConfigurationError: it cannot be done as asked. LabelStudioError: Label Studio failed, or refuses the account;
            what was written until then is noted.
    """
    action, question = _begun(client, store, project_id, (action_id, label, tuple(dict.fromkeys(task_ids))), now)
    portion = action.tasks[action.place : action.place + PORTION]
    if not portion:
        return action
    written, left, failure = _write(client, store, project_id, action, question, portion)

    def noted(known: BulkAction | None) -> BulkAction:
        before = known or action
        now_written = {**before.written, **written}
        all_left = {**before.left, **left}
        return replace(
            before,
            place=max(before.place, action.place + len(written) + len(left)),
            written=now_written,
            left={task: why for task, why in all_left.items() if task not in now_written},
        )

    action = bulk_actions.change(store, action_id, noted)
    if failure is not None:
        raise failure
    return action


def _begun(
    client: LabelStudioClient, store: ProjectStore, project_id: int, asked: tuple[str, str, tuple[int, ...]], now: str
) -> tuple[BulkAction, ChoiceQuestion]:
    """The action that is ``asked`` for (id, label, tasks), noted, where it can be done."""
    action_id, label, tasks = asked
    if not ACTION.fullmatch(action_id):
        raise ConfigurationError('"action" must be 32 hexadecimal digits, new for each action.')
    if not tasks or len(tasks) > MOST:
        raise ConfigurationError(f"One action labels 1 to {MOST:,} tasks, not {len(tasks):,}.")
    project = client.project(project_id)
    if project.uid != store.uid:
        raise ConfigurationError(f"Project {project_id} is not the one that the backend knows; run a round first.")
    question = question_of(client, project, store)
    if label not in question.labels:
        raise ConfigurationError(f"{label!r} is no label of the project; choose one of: {', '.join(question.labels)}.")
    account = client.whoami()
    new = BulkAction(action_id, label, int(account["id"]), str(account.get("email", "")), now, tasks)
    return bulk_actions.begin(store, new), question


def _write(
    client: LabelStudioClient,
    store: ProjectStore,
    project_id: int,
    action: BulkAction,
    question: ChoiceQuestion,
    portion: Sequence[int],
) -> tuple[dict[int, int], dict[int, str], LabelStudioError | None]:
    """Annotate tasks: the new annotations, why others got none, and what broke it off."""
    rows = {task.id: task for task in map(task_from_row, client.tasks_of(project_id, portion))}
    control, result = control_tasks(store), annotation_result(action.label, question, action=action.id)
    written: dict[int, int] = {}
    left: dict[int, str] = {}
    for task_id in portion:
        task = rows.get(task_id)
        own = _own(task, action.id)
        if own is not None:  # written before, when nobody could note it any more
            written[task_id] = own
            continue
        if (why := why_not(task, control)) is not None:
            left[task_id] = why
            continue
        try:
            written[task_id] = client.annotate(task_id, result, unique_id=_unique_id(store, task_id))
        except LabelStudioNotFound:
            left[task_id] = GONE
        except LabelStudioConflict:
            left[task_id] = ANSWERED  # the same moment, by another action
        except LabelStudioError as exc:
            return written, left, exc
    return written, left, None


def _own(task: Task | None, action_id: str) -> int | None:
    """The annotation that an action gave to a task."""
    given = task.annotations if task is not None else ()
    return next((each.id for each in given if bulk_action(each.result) == action_id), None)


def _unique_id(store: ProjectStore, task_id: int) -> str:
    """Of the annotation that a task can get together with others: one at a time, whatever the action."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"active-learning bulk {store.uid} {task_id}"))


def undo_portion(client: LabelStudioClient, store: ProjectStore, project_id: int, action_id: str) -> BulkAction:
    """Take back the next portion of an action: what it wrote, and nobody has changed since.

    Raises:
        ConfigurationError: nothing is known of it. LabelStudioError: as `label_portion`.
    """

    def begun(known: BulkAction | None) -> BulkAction:
        if known is None:
            raise ConfigurationError("Nothing is known about this action (any more); delete its annotations by hand.")
        return replace(known, undoing=True)

    if action_id not in bulk_actions.read(store):
        begun(None)
    client.project(project_id)  # refuses who may not see it, before anything is noted
    action = bulk_actions.change(store, action_id, begun)
    rows = {task["id"]: task for task in client.tasks_of(project_id, [*_to_take_back(action), *_unsure(action)])}
    written = {
        task: own for task in _unsure(action) if task in rows and (own := _own(task_from_row(rows[task]), action.id))
    }
    gone, kept, failure = _delete(client, rows, replace(action, written={**action.written, **written}))

    def noted(known: BulkAction | None) -> BulkAction:
        before = known or action
        return replace(
            before,
            written={**before.written, **written},
            taken_back=tuple(dict.fromkeys((*before.taken_back, *gone))),
            kept={**before.kept, **kept},
        )

    action = bulk_actions.change(store, action_id, noted)
    if failure is not None:
        raise failure
    return action


def _to_take_back(action: BulkAction) -> list[int]:
    """The next portion of an action's annotations."""
    done = {*action.taken_back, *action.kept}
    return [task for task in action.written if task not in done][:PORTION]


def _unsure(action: BulkAction) -> tuple[int, ...]:
    """Tasks whose portion was begun, and perhaps never noted."""
    return action.tasks[action.place : action.place + PORTION]


def _delete(
    client: LabelStudioClient, rows: Mapping[int, Mapping[str, Any]], action: BulkAction
) -> tuple[list[int], dict[int, str], LabelStudioError | None]:
    """Delete an action's annotations: tasks whose is gone, why others keep theirs, what broke it off."""
    found = {each["id"]: each for row in rows.values() for each in row["annotations"]}
    gone: list[int] = []
    kept: dict[int, str] = {}
    for task_id in _to_take_back(action):
        annotation = found.get(action.written[task_id])
        if annotation is None:
            kept[task_id] = GONE
        elif not _is_untouched(annotation, action):
            kept[task_id] = CHANGED
        else:
            try:
                client.delete_annotation(annotation["id"])
            except LabelStudioNotFound:
                kept[task_id] = GONE
                continue
            except LabelStudioError as exc:
                return gone, kept, exc
            gone.append(task_id)
    return gone, kept, None


def _is_untouched(annotation: Mapping[str, Any], action: BulkAction) -> bool:
    """Whether an annotation is as the action wrote it."""
    created, changed = parse_time(annotation["created_at"]), parse_time(annotation["updated_at"])
    is_own = bulk_action(annotation.get("result")) == action.id
    return is_own and (changed - created).total_seconds() <= UNCHANGED and not annotation.get("was_cancelled")
