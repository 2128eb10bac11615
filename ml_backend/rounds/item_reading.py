"""Tasks → items of a model; pictures are fetched and read once, and from then on come from disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.encoders import feature_store
from ml_backend.encoders.feature_store import content_key
from ml_backend.errors import BadItemError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.media import MediaReader
from ml_backend.models import kept_items
from ml_backend.models.kept_items import read_kept
from ml_backend.models.reading import ItemReader
from ml_backend.records import Progress, Task, no_progress
from ml_backend.rounds.vector_reading import FETCHERS, known_vectors, read_vectors

BLOCK: Final = 64
"""Pictures that are read together, while as many are fetched: the bytes of a pool of large ones must not fill the
memory."""
CONTENTS: Final = "contents"
"""Which content each URL had, in the store of features."""


@dataclass(frozen=True)
class Examples:
    """Items that could be read, with the tasks they came from."""

    task_ids: Ids
    items: list[Any]
    left_out: dict[int, str]
    """Task id → reason."""

    def positions(self, task_ids: Sequence[int]) -> NDArray[np.int64]:
        """Positions in ``task_ids`` of the kept items, in the order kept."""
        where = {task_id: position for position, task_id in enumerate(task_ids)}
        return np.array([where[int(task_id)] for task_id in self.task_ids], dtype=np.int64)


def read_items(
    tasks: Sequence[Task],
    question: ChoiceQuestion,
    reader: ItemReader,
    media: MediaReader,
    progress: Progress = no_progress,
) -> Examples:
    """Read the content of tasks into items of a model; a task that cannot be read is left out with its reason."""
    if question.parts:
        contents = read_vectors(tasks, question, reader, media, progress)
    elif question.object_tag == "Text":
        contents = _read(reader.read, _texts(tasks, question, media, progress))
    else:
        contents = _pictures(tasks, question, reader, media, progress)
    kept = [(task.id, item) for task, item in zip(tasks, contents, strict=True) if not isinstance(item, BadItemError)]
    left_out = {t.id: str(item) for t, item in zip(tasks, contents, strict=True) if isinstance(item, BadItemError)}
    ids = np.array([task_id for task_id, _ in kept], dtype=np.int64)
    return Examples(ids, [item for _, item in kept], left_out)


def known_items(
    tasks: Sequence[Task], question: ChoiceQuestion, reader: ItemReader, media: MediaReader
) -> dict[int, Any]:
    """Task id → item, of the tasks that can be read without fetching anything: texts, and pictures kept on disk."""
    if question.parts:
        return known_vectors(tasks, question, reader, media)
    if question.object_tag == "Text":
        examples = read_items([task for task in tasks if media.known_text(task, question)], question, reader, media)
        return dict(zip(examples.task_ids.tolist(), examples.items, strict=True))
    urls = {task.id: url for task in tasks if (url := _url_key(task, question)) is not None}
    known = _known(reader, list(urls.values()))
    return {task: known[url] for task, url in urls.items() if url in known}


def _texts(tasks: Sequence[Task], question: ChoiceQuestion, media: MediaReader, progress: Progress) -> list[Any]:
    """The text of each task, or its `BadItemError`."""
    if not question.by_url:
        return [_raw(task, question, media) for task in tasks]
    texts: list[Any] = []
    with ThreadPoolExecutor(FETCHERS) as executor:
        for text in executor.map(lambda task: _raw(task, question, media), tasks):
            texts.append(text)
            progress(len(texts), len(tasks))
    return texts


def _pictures(
    tasks: Sequence[Task], question: ChoiceQuestion, reader: ItemReader, media: MediaReader, progress: Progress
) -> list[Any]:
    """The item of each task, or its `BadItemError`: from disk, else read and put there."""
    urls = [_url_key(task, question) for task in tasks]
    known = _known(reader, [url for url in urls if url is not None])
    found = [known.get(url) if url is not None else None for url in urls]
    missing = [position for position, item in enumerate(found) if item is None]
    done = len(tasks) - len(missing)
    progress(done, len(tasks))
    for part, raws in _fetched(missing, lambda place: _raw(tasks[place], question, media)):
        for place, item in zip(part, _read(partial(read_kept, reader), raws), strict=True):
            found[place] = item
        _note_contents([urls[place] for place in part], raws, [found[place] for place in part])
        done += len(part)
        progress(done, len(tasks))
    return found


def _fetched(places: Sequence[int], fetch: Callable[[int], Any]) -> Iterator[tuple[Sequence[int], list[Any]]]:
    """Places in blocks, with what was fetched for them; the next block is fetched while one is in use."""
    parts = [places[start : start + BLOCK] for start in range(0, len(places), BLOCK)]
    with ThreadPoolExecutor(FETCHERS) as executor:
        coming = executor.map(fetch, parts[0]) if parts else iter(())
        for number, part in enumerate(parts, start=1):
            raws = list(coming)
            coming = executor.map(fetch, parts[number]) if number < len(parts) else iter(())
            yield part, raws


def _raw(task: Task, question: ChoiceQuestion, media: MediaReader) -> Any:
    try:
        return media.shown(task, question)
    except BadItemError as exc:
        return exc


def _read(read: Callable[[Sequence[Any]], list[Any]], raws: Sequence[Any]) -> list[Any]:
    """Items of what could be had; the errors stay in their places."""
    good = [raw for raw in raws if not isinstance(raw, BadItemError)]
    items: Iterator[Any] = iter(read(good) if good else [])
    return [raw if isinstance(raw, BadItemError) else next(items) for raw in raws]


def _url_key(task: Task, question: ChoiceQuestion) -> bytes | None:
    value = question.value(task.data)
    return content_key(value.strip()) if isinstance(value, str) else None


def _known(reader: ItemReader, urls: Sequence[bytes]) -> Mapping[bytes, Any]:
    """Items by their URL's key, those that are kept."""
    store = feature_store.kept()
    if store is None:
        return {}
    contents = {url: digest.tobytes() for url, digest in store.get(CONTENTS, urls).items()}
    items = kept_items.known_items(reader, list(set(contents.values())))
    return {url: items[digest] for url, digest in contents.items() if digest in items}


def _note_contents(urls: Sequence[bytes | None], raws: Sequence[Any], items: Sequence[Any]) -> None:
    """Which content each address had, of items that are kept."""
    store = feature_store.kept()
    if store is None:
        return
    contents = {
        url: np.frombuffer(content_key(raw), np.uint8)
        for url, raw, item in zip(urls, raws, items, strict=True)
        if url is not None and isinstance(raw, bytes) and isinstance(item, np.ndarray)
    }
    store.put(CONTENTS, contents)
