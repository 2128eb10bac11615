"""A stored version and the items of a round: each model, and each encoder, reads items of its own.

Vectors of another network may be as long, and mean something else.
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
    """Whether a version reads the items that the round reads for the project's model.

    Raises:
        ConfigurationError: the version's encoder cannot be used any more.
    """
    if manifest.model != project.model.name:
        return False
    return reader_of(project.model, _hyperparameters(manifest)).name == project.reader.name


READ_WITH: Final = ("hyperparameters", "embedding", "embedding_options")
"""Settings that say how a model reads and compares items."""


def as_read_by(manifest: Manifest | None, project: RoundProject, recorder: Recorder) -> RoundProject:
    """The project as a version reads it: itself, or read anew by the version's model and through its encoder.

    So is a version served that was trained before model or encoder changed: pinned, or in use until there is a new one.

    Args:
        manifest: the version's; None: there is none.
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
    """Model and the settings that it read by; of a version that kept none, those that the model has by itself."""
    plain = ProjectSettings()
    changes = {name: manifest.settings.get(name, getattr(plain, name)) for name in READ_WITH}
    settings = project.settings.override(changes, where=f"Version {manifest.name}")
    return replace(project, settings=settings, model=MODELS[manifest.model])


def _read_anew(project: RoundProject, recorder: Recorder) -> RoundProject:
    project = replace(project, items={}, unlabelled=None)
    return replace(project, unlabelled=unlabelled(project, recorder, dry_run=True))


def _hyperparameters(manifest: Manifest) -> dict[str, object]:
    return dict(manifest.training.get("hyperparameters", {}))
