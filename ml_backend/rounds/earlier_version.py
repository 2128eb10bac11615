"""The version in use, if a training may continue from it: same question, settings and libraries."""

from __future__ import annotations

from typing import Final

import numpy as np

from ml_backend.errors import ModelError, StoreError
from ml_backend.models.base import Model
from ml_backend.models.torch_classifier import SHARPNESS
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.workspace import Run
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.store.manifest import Manifest
from ml_backend.store.versions import answers, library_versions

SHAPE_WEIGHTS: Final = ("seed", "hyperparameters", "embedding", "embedding_options", "class_shares")
"""Settings on which the weights depend."""


def earlier_version(project: RoundProject, run: Run) -> Earlier | None:
    """What a training may continue from; None if there is nothing suitable.

    Only the newest version will do: if it is not in use, it was worse, or somebody went back to an older one.
    """
    store = project.store
    name = store.current().version
    try:
        if name is None or [name] != store.versions()[-1:]:
            return None
        manifest = store.manifest(name)
    except StoreError:
        return None  # the round reports elsewhere that it is damaged
    if not _is_alike(manifest, project):
        return None

    def load() -> Model | None:
        try:
            return run.workspace.library.load(store, name)
        except (StoreError, ModelError) as exc:
            run.warn(f"The new model begins anew: {exc}")
            return None

    counts = np.array([manifest.label_counts.get(label, 0) for label in manifest.labels], dtype=np.int64)
    return Earlier(load, manifest.learnt_from, counts, int(manifest.training["examples"]), manifest.in_a_row)


def _is_alike(manifest: Manifest, project: RoundProject) -> bool:
    settings = project.settings.model_dump(mode="json")
    return (
        manifest.model == project.model.name
        and SHARPNESS in manifest.config  # else it cannot be taken back
        and answers(manifest, project.question)
        and manifest.libraries == library_versions()
        and project.vector_length in (0, manifest.config.get("dimensions"))
        and all(manifest.settings.get(name) == settings[name] for name in SHAPE_WEIGHTS)
    )
