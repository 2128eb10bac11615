"""Tasks → one vector each: of objects side by side, of a list of pictures, or of numbers that come with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import Array, content_key
from ml_backend.errors import BadItemError
from ml_backend.label_studio.config_objects import NUMBERS, ShownObject
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_fields import field_value
from ml_backend.models.reading import ItemReader
from ml_backend.records import Progress, Task, no_progress

FETCHERS: Final = 8
"""Pictures fetched at once."""
BLOCK: Final = 128
"""Tasks whose content is held at a time."""
Item = Array | BadItemError


def usual_length(tasks: Iterable[Task], question: ChoiceQuestion) -> int:
    """How many numbers most tasks have in the field that is learnt from; 0 where none has any, or none is asked for."""
    if not question.has_numbers:
        return 0
    found = (field_value(task.data, question.parts[0].field) for task in tasks)
    lengths = Counter(len(value) for value in found if isinstance(value, list) and value)
    return max(lengths, key=lambda length: (lengths[length], length), default=0)


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
