"""The two files of a model version: its description and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from ml_backend.errors import StoreError
from ml_backend.files import Staged

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"


class Manifest(BaseModel):
    """Everything about a version except its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the version and of its folder."""
    model: str
    """Registry name of the model."""
    number: int
    """Consecutive number among the project's versions."""
    created_at: datetime
    """When it was trained."""
    object_tag: str
    """Label Studio object that it reads, such as ``Text``."""
    labels: tuple[str, ...]
    """The classes, in the order of its probabilities."""
    multiple: bool = False
    """Whether its answers are sets of classes."""
    config: dict[str, Any]
    """What is needed to rebuild the model."""
    fingerprint: str
    """Hash of the training data and of every setting that affects the weights."""
    examples: int
    """Number of tasks that it was trained on."""
    label_counts: dict[str, int]
    """How many of them have each label."""
    training: dict[str, Any]
    """Epochs, loss, seconds, hyperparameters."""
    metrics: dict[str, Any] | None
    """Measured on the held-out evaluation tasks; None if the project has none."""

    # Versions from older releases lack the fields below.
    control: str = ""
    """Name of the question that it answers; empty in older versions, which answer any."""
    evaluation_count: int | None = None
    """Number of evaluation tasks that it was measured on."""
    evaluation_fingerprint: str | None = None
    """Hash of those tasks and their labels."""
    settings: dict[str, Any] = {}
    """The project's settings in the round that trained it."""
    libraries: dict[str, str] = {}
    """Versions of the software that trained it: this package, torch, numpy."""
    parent: str | None = None
    """The version in use when it was trained."""
    promoted: bool = True
    """Whether it may be served. False if it was clearly worse than the version in use."""
    agreement: dict[str, Any] | None = None
    """How far people agreed (fields of `agreement.Agreement`); None if no task had several answers."""
    learnt_from: str = "labels"
    """``pool`` if it learnt from unlabelled tasks too; ``labels`` if only from labelled ones."""
    started_from: str | None = None
    """The version from whose weights its training continued; None if it was trained from scratch."""
    in_a_row: int = 0
    """Number of trainings since the last one from scratch; 0 if this is one."""
    comparison: dict[str, Any] | None = None
    """Comparison with that version (fields of `promotion.Comparison`); None if there was nothing to compare with."""
    guessing: dict[str, Any] | None = None
    """Whether it can be told from guessing (`rounds.guessing`); None if there was nothing to tell by."""

    @property
    def guesses(self) -> str:
        """A sentence that says why it is considered no better than guessing; empty if it is better."""
        found = self.guessing or {}
        return str(found.get("sentence") or "") if found.get("guessing") else ""


def read_manifest(folder: Path) -> Manifest:
    """Everything except the weights of the version in a folder.

    Raises:
        StoreError: it is damaged.
        FileNotFoundError: it is not there.
    """
    path = folder / MANIFEST_FILE
    try:
        found = path.stat()
        return _parsed(path, found.st_ino, found.st_mtime_ns, found.st_size)
    except FileNotFoundError:
        raise
    except (OSError, ValidationError) as exc:
        raise StoreError(f"{path} is damaged ({type(exc).__name__}); delete its folder and train again.") from exc


@lru_cache(maxsize=512)
def _parsed(path: Path, inode: int, changed: int, size: int) -> Manifest:
    """Cached, because every page of the dashboard asks for all manifests of a project. Files are only ever replaced."""
    del inode, changed, size
    return Manifest.model_validate_json(path.read_bytes())


def check_weights(folder: Path) -> None:
    """Check that a version's weights are there and complete, as far as their header tells. Does not need torch.

    Raises:
        StoreError: they are missing or damaged.
    """
    path = folder / WEIGHTS_FILE
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError) as exc:
        raise StoreError(f"{path} is missing or damaged ({exc}); delete its folder and train again.") from exc


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of the version in a folder, on the CPU.

    Raises:
        StoreError: they are missing or damaged.
    """
    from safetensors.torch import load_file  # here: it brings torch

    path = folder / WEIGHTS_FILE
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise StoreError(f"{path} is missing or damaged ({exc}); delete its folder and train again.") from exc
    for name, tensor in found.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise StoreError(f"{path} is damaged ({name} has NaN or infinite values); delete its folder, train again.")
    return found


def write_weights(path: Staged, weights: Mapping[str, Tensor]) -> None:
    """Write a version's weights. Raises OSError or SafetensorError."""
    from safetensors.torch import save_file  # here: it brings torch

    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
