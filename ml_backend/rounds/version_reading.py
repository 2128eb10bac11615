"""A stored version and the items of a round: vectors of another network may be as long, and mean something else."""

from __future__ import annotations

from dataclasses import replace

from ml_backend.models.reading import reader_of
from ml_backend.rounds.embedding import unlabelled
from ml_backend.rounds.report import Recorder
from ml_backend.rounds.workspace import RoundProject
from ml_backend.store.manifest import Manifest


def reads_alike(manifest: Manifest, project: RoundProject) -> bool:
    """Whether a version reads the items that the round reads for the project's model.

    Raises:
        ConfigurationError: the version's encoder cannot be used any more.
    """
    if manifest.model != project.model.name:
        return False
    return reader_of(project.model, _hyperparameters(manifest)).name == project.reader.name


def as_read_by(manifest: Manifest | None, project: RoundProject, recorder: Recorder) -> RoundProject:
    """The project as a version of its model, if any, reads it: itself, or read anew through the version's encoder.

    So is a version served that was trained before the encoder changed: pinned, or in use until there is a new one.

    Raises:
        ConfigurationError: the version's encoder cannot be used any more.
    """
    used = _hyperparameters(manifest) if manifest is not None else {}
    if (
        manifest is None
        or manifest.model != project.model.name
        or "encoder" not in used
        or reads_alike(manifest, project)
    ):
        return project
    wanted = {**project.settings.hyperparameters, "encoder": used["encoder"]}
    settings = project.settings.override({"hyperparameters": wanted}, where=f"Version {manifest.name}")
    project = replace(project, settings=settings, items={}, unlabelled=None)
    return replace(project, unlabelled=unlabelled(project, recorder, dry_run=True))


def _hyperparameters(manifest: Manifest) -> dict[str, object]:
    return dict(manifest.training.get("hyperparameters", {}))
