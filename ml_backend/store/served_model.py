"""The model that answers: the current version or, if its files are damaged, another version in its place."""

from __future__ import annotations

import logging
from threading import Lock

from ml_backend.errors import ModelError, StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.models.base import Model
from ml_backend.store.library import ModelLibrary
from ml_backend.store.manifest import Manifest
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import stand_ins

log = logging.getLogger(__name__)
MOST_TOLD = 1_000
"""Most problems that are remembered as logged."""


class ServedModels:
    """Loads what is served. Safe to share between threads.

    Args:
        library: keeps loaded models.
    """

    def __init__(self, library: ModelLibrary) -> None:
        self._library = library
        self._told: set[str] = set()
        self._lock = Lock()

    def load(self, store: ProjectStore, version: str, question: ChoiceQuestion) -> tuple[Manifest, Model]:
        """Load a version or, if it is damaged, the newest intact one that answers the question. Logs that once.

        Raises:
            StoreError, ModelError: the version is damaged, and so are all others that answer the question.
        """
        try:
            return self._load(store, version)
        except (StoreError, ModelError) as exc:
            problem = exc
        asked = question.object_tag, question.labels, question.control
        for name in stand_ins(store, version, *asked, multiple=question.multiple):
            try:
                found = self._load(store, name)
            except (StoreError, ModelError):
                continue
            self._tell(f"project {store.uid}: {name} answers in the place of {version}: {problem}")
            return found
        raise problem

    def _load(self, store: ProjectStore, version: str) -> tuple[Manifest, Model]:
        return store.manifest(version), self._library.load(store, version)

    def _tell(self, problem: str) -> None:
        with self._lock:
            if problem in self._told or len(self._told) >= MOST_TOLD:
                return
            self._told.add(problem)
        log.error("%s", problem)
