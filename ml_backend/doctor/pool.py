"""Check of the pool outside Label Studio: it can be reached, is unchanged, and its vectors fit the encoder."""

from __future__ import annotations

from typing import Final

from ml_backend.doctor.diagnosis import Context, Finding
from ml_backend.doctor.words import command
from ml_backend.errors import ConfigurationError, DataError, ModelError, StoreError
from ml_backend.pool import engine
from ml_backend.pool.announce import announced
from ml_backend.pool.document import connected
from ml_backend.pool.fields import check_question
from ml_backend.pool.heads import check_fits, head_of
from ml_backend.pool.source import Source
from ml_backend.pool.vectors import Vectors, folder_of, known
from ml_backend.store.library import ModelLibrary

NAME: Final = "Pool"


def pool(context: Context) -> Finding:
    """The connected pool can be read, has its columns, and has vectors that the version in use can read."""
    store = context.store
    found = connected(store)
    if found is None:
        return Finding(NAME, "ok", "No pool outside Label Studio is connected.")
    engine.use(context.settings.ray_address)
    try:
        Source(found).check()
        if (question := store.noted_question()) is not None:
            check_question(found, question)
    except (DataError, ConfigurationError) as exc:
        return Finding(NAME, "error", str(exc), command("pool", context).replace("pool --", "pool connect --") + " URL")
    embed = f"lsal pool embed --project {context.project_id}"
    vectors = known(store)
    if not any(each.count() for each in vectors):
        return Finding(NAME, "warning", f"{found.url} can be read, but nothing of it is embedded.", embed)
    version = store.current().version
    if version is not None:
        try:
            head = head_of(store.manifest(version), ModelLibrary().load(store, version))
            check_fits(Vectors(folder_of(store, head.encoder.name)), head)
        except (StoreError, ModelError, ConfigurationError) as exc:
            return Finding(NAME, "error", str(exc), embed)
    if waiting := len(announced(store)):
        told = f"A round was interrupted: {waiting} rows that it announced may not have become tasks yet."
        return Finding(NAME, "warning", told, command("sync", context))
    count = max(each.count() for each in vectors)
    return Finding(NAME, "ok", f"{found.url} can be read; {count:,} rows are embedded.")
