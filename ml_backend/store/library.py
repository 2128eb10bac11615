"""Keeps stored versions as loaded models: each is read once and then shared by all requests."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from ml_backend.errors import StoreError
from ml_backend.models.base import Model
from ml_backend.models.registry import MODELS
from ml_backend.store.heads import Head, read_heads
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore

if TYPE_CHECKING:
    from torch import Tensor


CAPACITY: Final = 8
"""Models that stay loaded, and as many queues' models for the other questions."""


class ModelLibrary:
    """Loaded models; the least recently used are dropped first. Safe to share between threads."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, str], Model] = OrderedDict()
        self._heads: OrderedDict[tuple[str, str], tuple[Head, ...]] = OrderedDict()
        self._lock = Lock()

    def load(self, store: ProjectStore, version: str) -> Model:
        """The model of a stored version.

        Raises:
            StoreError: the version is missing, damaged, or needs a model that this installation does not have.
        """
        key = (str(store.folder), version)
        with self._lock:
            model = self._models.get(key)
            if model is None:
                model = self._models[key] = build_model(store.manifest(version), store.weights(version))
            self._models.move_to_end(key)
            while len(self._models) > CAPACITY:
                self._models.popitem(last=False)
            return model

    def heads(self, store: ProjectStore, queue: str) -> tuple[Head, ...]:
        """The models for the other questions that belong to a queue.

        Raises:
            StoreError: their file is damaged.
        """
        key = (str(store.folder), queue)
        with self._lock:
            if key not in self._heads:
                self._heads[key] = read_heads(store.folder, queue)
            self._heads.move_to_end(key)
            while len(self._heads) > CAPACITY:
                self._heads.popitem(last=False)
            return self._heads[key]


def build_model(manifest: Manifest, weights: dict[str, Tensor]) -> Model:
    """The model that a version's files describe.

    Raises:
        StoreError: it needs a model that this installation does not have.
        ModelError: the weights do not fit the manifest.
    """
    if manifest.model not in MODELS:
        raise StoreError(f"Version {manifest.name} needs the model {manifest.model!r}; known: {', '.join(MODELS)}.")
    return MODELS[manifest.model].from_state(manifest.labels, weights, manifest.config)
