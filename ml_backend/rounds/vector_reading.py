"""Tasks → one vector each: of objects side by side, of a list of pictures, or of numbers that come with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import numpy as np

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import Array, content_key
from ml_backend.errors import BadItemError, ConfigurationError
from ml_backend.label_studio.config_objects import NUMBERS, ShownObject
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_fields import FIELD, field_value
from ml_backend.models.reading import ItemReader
from ml_backend.models.vectors import numbers
from ml_backend.records import Progress, Task, no_progress

FETCHERS: Final = 8
"""Pictures fetched at once."""
BLOCK: Final = 128
"""Tasks whose content is held at a time."""
SHOWN: Final = 10
"""Fields that are named."""
DEEPEST: Final = 5
"""Levels of a task's data in which they are looked for."""
Item = Array | BadItemError


def usual_length(tasks: Sequence[Task], question: ChoiceQuestion) -> int:
    """How many numbers most tasks have in the field that is learnt from; 0 where none is asked for, or without tasks.

    Raises:
        ConfigurationError: no task has any there; the message names the fields where they have.
    """
    if not question.has_numbers or not tasks:
        return 0
    field = question.parts[0].field
    values = [field_value(task.data, field) for task in tasks]
    lengths = Counter(len(value) for value in values if _has_numbers(value))
    if not lengths:
        raise ConfigurationError(without_numbers(tasks, field))
    return max(lengths, key=lambda length: (lengths[length], length))


def _has_numbers(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, int | float) for each in value)


def without_numbers(tasks: Sequence[Task], field: str) -> str:
    """That no task has numbers in the field that the setting names, where they have some, and what to do."""
    is_there = any(field_value(task.data, field) is not None for task in tasks)
    lacking = f"a list of numbers in the field {field!r}" if is_there else f"a field {field!r}"
    counts = Counter(name for task in tasks for name in _with_numbers(task.data))
    told = ", ".join(f"{name!r} ({count:,} of {len(tasks):,} tasks)" for name, count in counts.most_common(SHOWN))
    step = f"Lists of numbers are in: {told}. Name one of these" if told else "No field has one: import tasks with them"
    return f"No task has {lacking}, which the setting embedding_field names. {step}, or take the setting away."


def _with_numbers(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """The fields in which a list of numbers is, as the setting names them."""
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, inside in value.items():
            yield from _with_numbers(inside, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list) and FIELD.fullmatch(f"${name}"):
        with suppress(BadItemError):
            numbers(value)
            yield name


def read_vectors(
    tasks: Sequence[Task],
    question: ChoiceQuestion,
    reader: ItemReader,
    media: MediaReader,
    progress: Progress = no_progress,
) -> list[Item]:
    """The vector of each task, or why there is none; what had to be fetched or encoded is kept on disk."""
    keys = [_key(task, question) for task in tasks]
    store = None if question.has_numbers else feature_store.kept()
    known = store.get(reader.name, keys) if store is not None else {}
    found: list[Item | None] = [known.get(key) for key in keys]
    missing = [place for place, item in enumerate(found) if item is None]
    progress(len(tasks) - len(missing), len(tasks))
    with ThreadPoolExecutor(FETCHERS) as executor:
        for start in range(0, len(missing), BLOCK):
            part = missing[start : start + BLOCK]
            raws = list(executor.map(lambda place: _parts(tasks[place], question, media), part))
            read = dict(zip(part, _read(reader, raws), strict=True))
            for place, item in read.items():
                found[place] = item
            if store is not None:
                new = {keys[place]: item for place, item in read.items() if isinstance(item, np.ndarray)}
                store.put(reader.name, new)
            progress(len(tasks) - len(missing) + start + len(part), len(tasks))
    return [_of_length(item, reader.length, question) for item in found if item is not None]


def known_vectors(
    tasks: Sequence[Task], question: ChoiceQuestion, reader: ItemReader, media: MediaReader
) -> dict[int, Any]:
    """Task id → vector, of those that need neither be fetched nor encoded."""
    if question.has_numbers:
        read = zip(tasks, read_vectors(tasks, question, reader, media), strict=True)
        return {task.id: item for task, item in read if not isinstance(item, BadItemError)}
    store = feature_store.kept()
    if store is None:
        return {}
    keys = {task.id: _key(task, question) for task in tasks}
    known = store.get(reader.name, list(set(keys.values())))
    return {task: known[key] for task, key in keys.items() if key in known}


def _key(task: Task, question: ChoiceQuestion) -> bytes:
    """Stands for what a task's parts hold, as the config reads them."""
    read_as = [(part.object_tag, part.by_url, part.encoding, part.markup, part.text_key) for part in question.parts]
    return content_key(json.dumps([read_as, question.content(task.data)], sort_keys=True, default=str))


def _parts(task: Task, question: ChoiceQuestion, media: MediaReader) -> list[tuple[str, Any]] | BadItemError:
    try:
        return [_part(task, part, media) for part in question.parts]
    except BadItemError as exc:
        return exc


def _part(task: Task, part: ShownObject, media: MediaReader) -> tuple[str, Any]:
    if part.object_tag == NUMBERS:
        return NUMBERS, (field_value(task.data, part.field), f'field "{part.field}"')
    if part.many:
        return "Images", media.several(task, part)
    return part.object_tag, media.shown(task, part)


def _read(reader: ItemReader, raws: Sequence[Any]) -> list[Item]:
    read = iter(reader.read([raw for raw in raws if not isinstance(raw, BadItemError)]))
    return [raw if isinstance(raw, BadItemError) else next(read) for raw in raws]


def _of_length(item: Item, length: int, question: ChoiceQuestion) -> Item:
    if length and not isinstance(item, BadItemError) and len(item) != length:
        field = question.parts[0].field
        return BadItemError(f'field "{field}" holds {len(item)} numbers, and those of most tasks {length}')
    return item
