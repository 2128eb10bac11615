"""Embed the pool of a project: for a command, and as a step of a round."""

from __future__ import annotations

from ml_backend.config import Settings
from ml_backend.encoders import folders
from ml_backend.errors import StoreError
from ml_backend.pool.connecting import sample_of, version_in_use
from ml_backend.pool.document import required
from ml_backend.pool.embed import Embedded, EmbedOptions, embed
from ml_backend.pool.encoders import PoolEncoder, choose
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors, folder_of
from ml_backend.records import Progress, no_progress
from ml_backend.rounds.encoder_choice import DOCUMENT
from ml_backend.store.project_store import ProjectStore


def embed_pool(
    settings: Settings,
    store: ProjectStore,
    *,
    workers: int = 0,
    retry_bad: bool = False,
    allow_gone: bool = False,
    encoder: PoolEncoder | None = None,
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
    )
    vectors = Vectors(folder_of(store, encoder.name))
    return embed(Source(pool), vectors, encoder, options, progress=progress), encoder.name


def project_encoder(settings: Settings, store: ProjectStore) -> PoolEncoder:
    """The encoder that a project's pool is embedded by: that of its next model.

    Raises:
        DataError, StoreError, ConfigurationError: as `embed_pool`.
    """
    pool, question = required(store), store.noted_question()
    if question is None:
        raise StoreError(f"{store.folder} does not know what the project asks; connect the pool again.")
    own = settings.project_settings(store.extra_params(), where=f"Project {store.uid}")
    encoder, _ = choose(
        question.object_tag,
        own,
        version=version_in_use(store),
        documented=store.document(DOCUMENT),
        sample=sample_of(pool),
    )
    return encoder
