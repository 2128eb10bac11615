"""Embed the pool of a project: for a command, and as a step of a round."""

from __future__ import annotations

import math
from dataclasses import replace

from ml_backend.config import Settings
from ml_backend.encoders import folders
from ml_backend.errors import StoreError
from ml_backend.pool.connecting import encoder_of, sample_of
from ml_backend.pool.document import connect, required
from ml_backend.pool.embed import Embedded, EmbedOptions, embed
from ml_backend.pool.encoders import PoolEncoder
from ml_backend.pool.fields import check_question
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.records import Progress, no_progress
from ml_backend.store.project_store import ProjectStore


def embed_pool(
    settings: Settings,
    store: ProjectStore,
    *,
    workers: int = 0,
    retry_bad: bool = False,
    allow_gone: bool = False,
    encoder: PoolEncoder | None = None,
    seconds: float = math.inf,
    progress: Progress = no_progress,
) -> tuple[Embedded, str]:
    """Embed the pool of a project by the encoder of its next model; what was done, and the encoder's name.

    Args:
        settings: the installation's.
        store: of the project.
        workers: processes; 0: one a core.
        retry_bad: see `EmbedOptions`.
        allow_gone: see `EmbedOptions`.
        encoder: another one than the project's.
        seconds: after which it stops, for another call to go on.
        progress: called with rows done, and rows to be done.

    Raises:
        DataError: no pool is connected, or as `embed`. StoreError, ConfigurationError: as `embed`.
    """
    pool = required(store)
    encoder = encoder or project_encoder(settings, store)
    options = EmbedOptions(
        hardware=settings.hardware(),
        encoder_folders=folders.parse_folders(settings.encoder_folders),
        workers=workers,
        retry_bad=retry_bad,
        allow_gone=allow_gone,
        seconds=seconds,
    )
    vectors = Vectors(folder_of(store, encoder.name))
    done = embed(Source(pool), vectors, encoder, options, progress=progress)
    if done.rows != pool.rows:
        connect(store, replace(pool, rows=done.rows))
    return done, encoder.name


def project_encoder(settings: Settings, store: ProjectStore) -> PoolEncoder:
    """The encoder that a project's pool is embedded by: that of its next model.

    Raises:
        DataError, StoreError, ConfigurationError: as `embed_pool`.
    """
    pool, question = required(store), store.noted_question()
    if question is None:
        raise StoreError(f"{store.folder} does not know what the project asks; connect the pool again.")
    check_question(pool, question)
    own = settings.project_settings(store.extra_params(), where=f"Project {store.uid}")
    return encoder_of(pool, question, own, store, sample_of(pool))[0]
