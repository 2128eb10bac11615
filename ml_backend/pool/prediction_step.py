"""Predict the pool of a project by one of its versions: for a command."""

from __future__ import annotations

from ml_backend.config import Settings
from ml_backend.errors import StoreError
from ml_backend.pool.document import required
from ml_backend.pool.heads import Head, head_of, with_beside
from ml_backend.pool.listing import address
from ml_backend.pool.predict import Predicted, predict
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.records import Progress, no_progress
from ml_backend.rounds.from_settings import LIBRARY
from ml_backend.store.heads import read_heads
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.versions import find_version


def predict_pool(
    settings: Settings,
    store: ProjectStore,
    out: str,
    *,
    version: str | None = None,
    progress: Progress = no_progress,
) -> Predicted:
    """Write what a version says of all rows of a project's pool.

    Args:
        settings: the installation's.
        store: of the project.
        out: a new folder: a path, or an address.
        version: name or number; None: the one in use.
        progress: called with rows done, and all.

    Raises:
        DataError: no pool is connected, or ``out`` cannot be used. StoreError: there is no such version, or no vectors
            of its encoder. ConfigurationError: the version reads rows itself, or ``out`` is no address.
    """
    required(store)
    head = version_head(store, version)
    told = predict(
        Vectors(folder_of(store, head.encoder.name)),
        head,
        address(out),
        hardware_=settings.hardware(),
        progress=progress,
    )
    told.guesses = store.manifest(head.version).guesses
    return told


def version_head(store: ProjectStore, version: str | None = None) -> Head:
    """The head of a version; None: of the one in use, with those of the questions beside the first.

    Another version answers the first question alone: the others' models are kept with the order that they made.

    Raises:
        StoreError, ModelError, ConfigurationError: as `predict_pool`.
    """
    name = find_version(store, version) if version else store.current().version
    if name is None:
        # All is labelled already, say: then a version is trained, but there is no order to use it in.
        trained = next(iter(store.versions()[-1:]), "")
        step = f"name one with --version, such as {trained}" if trained else "label some tasks, and wait for a round"
        raise StoreError(f"Project {store.uid.split('.', 1)[0]} has no version in use yet: {step}.")
    head, current = head_of(store.manifest(name), LIBRARY.load(store, name)), store.current()
    if name != current.version or current.queue is None:
        return head
    return with_beside(head, read_heads(store.folder, current.queue))
