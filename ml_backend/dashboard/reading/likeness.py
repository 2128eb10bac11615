"""How similar the tasks of a pool are to one of them or to a text, by the vectors that rounds keep on disk.

Nothing here reads a picture or trains. A typed text goes through the encoder that made the vectors, which takes seconds
if this process has not loaded it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.dashboard.reading.common import question_of
from ml_backend.encoders.base import Rows
from ml_backend.encoders.registry import choose_encoder
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.label_studio.media import MediaReader
from ml_backend.label_studio.task_cache import TaskCache
from ml_backend.models.reading import ItemReader, reader_of
from ml_backend.models.registry import MODELS
from ml_backend.rounds.embedding import FILE
from ml_backend.rounds.encoder_candidates import candidates
from ml_backend.rounds.item_reading import known_items
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, digest, read_rows
from ml_backend.store.documents import CURRENT, PARAMS, QUESTION
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.remembered import Remembered, stamp_of

MOST_UNKNOWN: Final = 1_000
"""Texts without stored vectors that are encoded while a person waits."""
NOT_YET: Final = (
    "Likeness is not known yet: it goes by vectors that a round makes of the tasks. Press Train now on the overview, "
    "and see that the setting learn_from_pool is on."
)
TEXTS_ONLY: Final = "The encoder of this project's pictures reads no text; look for what is like a task instead."


@dataclass(frozen=True)
class PoolVectors:
    """The vectors of a project's tasks; ``N`` different items, ``D`` dimensions."""

    places: Mapping[int, int]
    """Task → row, for the tasks that have a vector."""
    rows: Rows
    """``[N, D]``, of length 1."""
    embed: Callable[[Sequence[str]], Rows] | None
    """Makes vectors of typed texts; None if the encoder cannot read texts."""

    def like_task(self, task_id: int) -> dict[int, float]:
        """Cosine of the angle between a task and each of the tasks.

        Raises:
            ConfigurationError: it has no vector.
        """
        if task_id not in self.places:
            raise ConfigurationError(
                f"Task {task_id} has no vector: it is not in the project, held out, or came after the last round."
            )
        return self._cosines(self.rows[self.places[task_id]])

    def like_text(self, text: str) -> dict[int, float]:
        """Cosine of the angle between a text and each of the tasks.

        Raises:
            ConfigurationError: the encoder cannot read texts, or cannot be loaded.
        """
        if self.embed is None:
            raise ConfigurationError(TEXTS_ONLY)
        return self._cosines(_unit(self.embed([text]))[0])

    def _cosines(self, vector: NDArray[np.float32]) -> dict[int, float]:
        found = (self.rows @ vector).tolist()
        return {task: found[place] for task, place in self.places.items()}


def vectors_of(store: ProjectStore, settings: ProjectSettings) -> PoolVectors:
    """The vectors of a project's tasks as stored by rounds; those of a small project's texts are computed if missing.

    Raises:
        ConfigurationError: there are none.
        StoreError: something stored is damaged.
    """
    files = (store.folder / FILE, store.task_cache_path, *(store.folder / n for n in (QUESTION, CURRENT, PARAMS)))
    return _KNOWN.get(str(store.folder), stamp_of(*files), lambda: _read(store, settings))


_KNOWN: Final = Remembered[PoolVectors](2)
"""By store; 15 MB for each 10,000 texts."""


def _read(store: ProjectStore, settings: ProjectSettings) -> PoolVectors:
    question, path = question_of(store), store.folder / FILE
    items = _items(store, settings)
    if path.exists():
        known, rows = read_rows(path)
        places = {task: known[key] for task, item in items.items() if (key := digest(item)) in known}
        if places:
            reads_text = question.object_tag == "Text"
            embed = (lambda texts: PoolEmbedding.load(path).encoder.embed(texts)) if reads_text else None
            return PoolVectors(places, _unit(rows), embed)
    encoder, _ = choose_encoder(settings.embedding, question.object_tag)
    if encoder is None or question.object_tag != "Text" or not 0 < len(items) <= MOST_UNKNOWN:
        raise ConfigurationError(NOT_YET)
    learnt = encoder.learn(list(items.values()), seed=settings.seed, options=settings.embedding_options)
    vectors = _unit(learnt.embed(list(items.values())))
    return PoolVectors({task: place for place, task in enumerate(items)}, vectors, learnt.embed)


def _items(store: ProjectStore, settings: ProjectSettings) -> dict[int, Any]:
    """Task → what the model sees of it, as far as that is on this machine."""
    if not store.task_cache_path.exists():
        return {}
    cache, question = TaskCache(store.task_cache_path), question_of(store)
    media = MediaReader(cached=cache.cached_text)
    tasks = [task for task in cache.tasks() if not task.is_evaluation]
    return known_items(tasks, question, _reader(store, settings, question.object_tag), media)


def _reader(store: ProjectStore, settings: ProjectSettings, object_tag: str) -> ItemReader:
    """How the served model reads tasks or, before there is one, how the first one will."""
    version = store.current().version
    if version in store.versions():
        manifest = store.manifest(version)
        if manifest.model in MODELS:
            return reader_of(MODELS[manifest.model], manifest.training.get("hyperparameters", {}))
        raise StoreError(f"Version {version} needs the model {manifest.model!r}, which is not installed here.")
    first = candidates(object_tag, settings)[0]
    return reader_of(first.model, first.settings(settings).hyperparameters)


def _unit(rows: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
