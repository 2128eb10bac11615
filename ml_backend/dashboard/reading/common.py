"""What several pages read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ml_backend.dashboard.address import link
from ml_backend.errors import BadItemError, StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.store.project_store import QUESTION, ProjectStore

LONGEST_TEXT: Final = 400
"""Characters of a task's text that are shown."""


def about(store: ProjectStore) -> dict[str, Any]:
    """The title, and the question's field, kind and labels, as `/setup` or the last round read them; empty before."""
    return store.document(QUESTION)


def title(store: ProjectStore) -> str:
    """What people call the project."""
    return str(about(store).get("title") or f"Project {project_number(store)}")


def project_number(store: ProjectStore) -> int:
    """The project's id."""
    return int(store.uid.split(".", 1)[0])


def shown_as(store: ProjectStore) -> str | None:
    """How people see the tasks: ``Image``, or something with words; None if that is not known."""
    found = about(store)
    return (found.get("shows") or "") if found.get("parts") else found.get("object_tag")


def media_field(store: ProjectStore) -> str | None:
    """The task field that holds an image; None if the project asks about texts, or if that is not known."""
    return str(about(store)["field"]) if shown_as(store) == "Image" else None


def question_of(store: ProjectStore) -> ChoiceQuestion:
    """What the project asks. From a note by a version up to 0.1, only what that version wrote down."""
    found = about(store)
    field, tag, labels = str(found.get("field", "")), str(found.get("object_tag", "")), found.get("labels") or ()
    return store.noted_question() or ChoiceQuestion("", "", tag, field, tuple(labels))


def shown_items(store: ProjectStore, task_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """What people see of tasks: ``{"text": ...}`` or ``{"image": URL on this server}``, by task id.

    Tasks that this machine has not read (they are deleted, or rounds run elsewhere) are missing.
    """
    question = question_of(store)
    items: dict[int, dict[str, Any]] = {}
    if not store.task_cache_path.exists():
        return items
    cache = TaskCache(store.task_cache_path)
    media = MediaReader(cached=cache.cached_text)
    for task in cache.find(task_ids):
        if question.shown_as == "Image":
            items[task.id] = {"image": link(f"{project_number(store)}/media/{task.id}")}
        else:
            try:
                text = str(media.shown(task, question)) if media.known_text(task, question) else ""
            except BadItemError:
                text = ""
            items[task.id] = {"text": text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"}
    return items


def readable_versions(store: ProjectStore) -> list[str]:
    """Names of the versions whose manifest can be read (one may be deleted at any moment), oldest first."""
    found = []
    for name in store.versions():
        try:
            store.manifest(name)
        except StoreError:
            continue
        found.append(name)
    return found
