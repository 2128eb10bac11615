"""Which items a stored version reads: each model and each encoder makes its own from the same tasks.

Vectors of another encoder may have the same length and mean something else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ml_backend.config import ProjectSettings
from ml_backend.models.reading import reader_of
from ml_backend.models.registry import MODELS
from ml_backend.rounds.embedding import unlabelled
from ml_backend.rounds.project import RoundProject
from ml_backend.rounds.report import Recorder
from ml_backend.store.manifest import Manifest


def reads_alike(manifest: Manifest, project: RoundProject) -> bool:
    """Whether a version can use the items that the round has read for the project's present model.

    Raises:
        ConfigurationError: the version's encoder cannot be used any more.
    """
    if manifest.model != project.model.name:
        return False
    return reader_of(project.model, _hyperparameters(manifest)).name == project.reader.name


READ_WITH: Final = ("hyperparameters", "embedding", "embedding_options")
"""Settings that determine how a model reads and compares items."""


def as_read_by(manifest: Manifest | None, project: RoundProject, recorder: Recorder) -> RoundProject:
    """The project as a version reads it: unchanged, or read again with the version's model and encoder.

    In this way a version from before a change of model or encoder can still be served, until there is a new one or
    while it is pinned.

    Args:
        manifest: the version's; None if there is no version.
        project: as the round read it.
        recorder: times the reading.

    Raises:
        ConfigurationError: the version's encoder cannot be used any more.
    """
    if manifest is None:
        return project
    if manifest.model != project.model.name:
        return _read_anew(_with_its_model(manifest, project), recorder)
    used = _hyperparameters(manifest)
    if "encoder" not in used or reads_alike(manifest, project):
        return project
    wanted = {**project.settings.hyperparameters, "encoder": used["encoder"]}
    settings = project.settings.override({"hyperparameters": wanted}, where=f"Version {manifest.name}")
    return _read_anew(replace(project, settings=settings), recorder)


def _with_its_model(manifest: Manifest, project: RoundProject) -> RoundProject:
    """The project with the version's model and reading settings; defaults if the version did not keep them."""
    plain = ProjectSettings()
    changes = {name: manifest.settings.get(name, getattr(plain, name)) for name in READ_WITH}
    settings = project.settings.override(changes, where=f"Version {manifest.name}")
    return replace(project, settings=settings, model=MODELS[manifest.model])


def _read_anew(project: RoundProject, recorder: Recorder) -> RoundProject:
    project = replace(project, items={}, unlabelled=None)
    return replace(project, unlabelled=unlabelled(project, recorder, dry_run=True))


def _hyperparameters(manifest: Manifest) -> dict[str, object]:
    return dict(manifest.training.get("hyperparameters", {}))
