"""A version's head over the vectors of a pool: its probabilities, without reading a row again.

Axes: ``N`` rows, ``D`` numbers of a vector, ``K`` dropout passes, ``C`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders import text_vectors
from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.models.base import Model
from ml_backend.models.registry import MODELS
from ml_backend.pool.encoders import PoolEncoder, encoder_for
from ml_backend.pool.vector_columns import Half
from ml_backend.pool.vectors import Vectors
from ml_backend.pool.widening import widened
from ml_backend.store.manifest import Manifest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Head:
    """What is left of a model once an encoder has seen the rows."""

    version: str
    labels: tuple[str, ...]
    encoder: PoolEncoder
    model: Model

    def probabilities(self, vectors: Half, *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]`` of vectors ``[N, D]``; see ``Model.probabilities``."""
        model: Any = self.model
        parts = [model.feature_probabilities(model.seen(rows), samples=samples, seed=seed) for rows in widened(vectors)]
        return np.concatenate(parts) if parts else np.zeros((0, samples, len(self.labels)), np.float32)

    def packed(self) -> PackedHead:
        """What a worker makes the same head of."""
        weights, config = self.model.state()
        return PackedHead(self.version, self.labels, self.encoder, type(self.model), weights, config)


@dataclass(frozen=True)
class PackedHead:
    """A head that can be sent to another process: a model has locks and caches, which cannot."""

    version: str
    labels: tuple[str, ...]
    encoder: PoolEncoder
    kind: type[Model]
    weights: dict[str, Tensor]
    config: dict[str, Any]

    def unpacked(self) -> Head:
        """The head. Raises ModelError."""
        return Head(
            self.version, self.labels, self.encoder, self.kind.from_state(self.labels, self.weights, self.config)
        )


def head_of(manifest: Manifest, model: Model) -> Head:
    """The head of a version.

    Args:
        manifest: of the version.
        model: its model, loaded.

    Raises:
        ConfigurationError: the model reads rows itself (`encoders.encoder_for`), or answers with several choices.
    """
    if getattr(model, "multiple", False):
        raise ConfigurationError(
            f"Version {manifest.name} answers with several choices, and a pool is for one choice: its rows cannot be "
            "scored by it."
        )
    encoder = encoder_for(MODELS[manifest.model], str(manifest.config.get("encoder") or ""))
    return Head(manifest.name, manifest.labels, encoder, model)


def check_fits(vectors: Vectors, head: Head) -> None:
    """See to it that a pool's vectors are what the head was trained on.

    Raises:
        StoreError: there are none, or they are of other files of that encoder; the message says what to do.
    """
    about = vectors.about()
    name = head.encoder.name
    if about is None:
        raise StoreError(
            f"The pool has no vectors of {name}, which version {head.version} reads through: call lsal pool embed."
        )
    if about.encoder != name or about.made_of != text_vectors.kept_as(name):
        raise StoreError(
            f"The vectors in {vectors.folder} were made by {about.made_of}, and version {head.version} reads through "
            f"{text_vectors.kept_as(name)}: delete the folder, and call lsal pool embed."
        )


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Predictive entropy as a share of its largest value ``[N]``: ``-Σ p log p / log C``, 0 sure, 1 uniform.

    Args:
        probabilities: of each class ``[N, C]``.

    Source: Shannon (1948).
    """
    from scipy.special import xlogy

    classes = probabilities.shape[1]
    if classes < 2:
        return np.zeros(len(probabilities), np.float32)
    found = -xlogy(probabilities, probabilities).sum(axis=1) / np.log(classes)
    return np.asarray(np.clip(found, 0, 1), dtype=np.float32)
