"""The versions of one project, each a folder that appears and disappears as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError

from ml_backend.errors import StoreError
from ml_backend.files import Staged, remove_folder
from ml_backend.store.evaluation_predictions import (
    EVALUATION_FILE,
    EvaluationPredictions,
    read_evaluation_predictions,
    write_evaluation_predictions,
)
from ml_backend.store.folder import NAME, StoreFolder, checked_name, number_of
from ml_backend.store.manifest import (
    MANIFEST_FILE,
    WEIGHTS_FILE,
    Manifest,
    check_weights,
    read_manifest,
    read_weights,
    write_weights,
)
from ml_backend.store.pool_map import MAP_FILE, PoolMap, read_map, write_map

if TYPE_CHECKING:
    from torch import Tensor

VERSIONS: Final = "versions"


class StoredVersions(StoreFolder):
    """Model versions.

    Raises, from every method:
        StoreError: the folder cannot be written, or something in it is missing or damaged.
    """

    def versions(self) -> list[str]:
        """Names of all versions, oldest first."""
        return sorted((name for name in self._names(VERSIONS, "") if NAME.fullmatch(name)), key=number_of)

    def manifest(self, version: str) -> Manifest:
        """Everything about a version except its weights."""
        try:
            return read_manifest(self.folder / VERSIONS / checked_name(version))
        except FileNotFoundError as exc:
            known = ", ".join(self.versions()) or "none"
            raise StoreError(f"Version {version!r} is not in {self.folder}; versions there: {known}.") from exc

    def weights(self, version: str) -> dict[str, Tensor]:
        """Weights of a version, on the CPU."""
        return read_weights(self.folder / VERSIONS / checked_name(version))

    def problem(self, version: str) -> str | None:
        """Why a version cannot be used, found without reading all of its weights; None if it looks usable."""
        try:
            self.manifest(version)
            check_weights(self.folder / VERSIONS / checked_name(version))
        except StoreError as exc:
            return str(exc)
        return None

    def evaluation_predictions(self, version: str) -> EvaluationPredictions | None:
        """What a version predicted for the evaluation tasks; None if it was not measured."""
        return read_evaluation_predictions(self.folder / VERSIONS / checked_name(version))

    def version_folder(self, version: str) -> Path:
        """Where the files of a stored version lie."""
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise StoreError(f"Version {version!r} is not in {self.folder}; versions there: {known}.")
        return self.folder / VERSIONS / checked_name(version)

    def update_manifest(self, manifest: Manifest, evaluation_predictions: EvaluationPredictions | None = None) -> None:
        """Replace the description of a stored version; its weights stay."""
        self.version_folder(manifest.name)  # raises if there is none
        if evaluation_predictions is not None:
            judged = evaluation_predictions
            self._write(
                f"{VERSIONS}/{manifest.name}/{EVALUATION_FILE}",
                lambda path: self._writer.write_with(path, lambda staged: write_evaluation_predictions(staged, judged)),
            )
        self._write_text(f"{VERSIONS}/{manifest.name}/{MANIFEST_FILE}", manifest.model_dump_json(indent=1))

    def map(self, version: str) -> PoolMap | None:
        """The map of the pool as a version saw it; None if none was drawn."""
        return read_map(self.folder / VERSIONS / checked_name(version))

    def mapped_versions(self) -> list[str]:
        """Names of the versions that have a map, oldest first."""
        return [name for name in self.versions() if (self.folder / VERSIONS / checked_name(name) / MAP_FILE).exists()]

    def write_map(self, version: str, drawn: PoolMap) -> None:
        """Add a map to a stored version, or replace its map."""
        self.version_folder(version)  # raises if there is none
        self._write(
            f"{VERSIONS}/{version}/{MAP_FILE}",
            lambda path: self._writer.write_with(path, lambda staged: write_map(staged, drawn)),
        )

    def next_version_name(self, model: str, fingerprint: str) -> str:
        """``model-0007-hash``: numbers count all versions of the project, the hash comes from the fingerprint."""
        last = max(map(number_of, self.versions()), default=0)
        return f"{model}-{last + 1:04d}-{fingerprint[:8]}"

    def write_version(
        self,
        manifest: Manifest,
        weights: Mapping[str, Tensor],
        evaluation_predictions: EvaluationPredictions | None = None,
    ) -> None:
        """Write a version, all or nothing."""
        target = self.folder / VERSIONS / checked_name(manifest.name)

        def fill(folder: Staged) -> None:
            write_weights(Staged(folder / WEIGHTS_FILE), weights)
            if evaluation_predictions is not None:
                write_evaluation_predictions(Staged(folder / EVALUATION_FILE), evaluation_predictions)
            (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")

        try:
            self._sweep(VERSIONS)
            self._writer.write_folder(target, fill)
        except (OSError, SafetensorError, StoreError) as exc:  # safetensors has its own error for a full disk
            raise StoreError(f"Cannot write version {manifest.name} to {target} ({exc}); nothing was changed.") from exc

    def _remove_version(self, version: str) -> None:
        folder = self.folder / VERSIONS / checked_name(version)
        try:
            remove_folder(folder)
        except OSError as exc:
            raise StoreError(f"Cannot delete {folder} ({exc}); nothing was changed.") from exc
