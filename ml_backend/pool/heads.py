"""A version's head over the vectors of a pool: its probabilities, without reading a row again.

Axes: ``N`` rows, ``D`` numbers of a vector, ``K`` dropout passes, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.errors import StoreError
from ml_backend.models.base import Model
from ml_backend.models.registry import MODELS
from ml_backend.models.several import takes_sets
from ml_backend.pool import utility
from ml_backend.pool.encoders import PARTS, PoolEncoder, encoder_for
from ml_backend.pool.vector_pages import Some
from ml_backend.pool.vectors import Vectors
from ml_backend.pool.widening import widened
from ml_backend.store.heads import Head as Beside
from ml_backend.store.manifest import Manifest
from ml_backend.strategies.several import OverClasses

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Head(utility.Head):
    """What is left of a model once an encoder has seen the rows."""

    version: str
    labels: tuple[str, ...]
    encoder: PoolEncoder
    model: Model
    over_classes: OverClasses = "mean"
    """How the classes of a set make one uncertainty."""
    control: str = ""
    """The question that it answers."""
    weight: float = 1.0
    """How much that question counts in the order, where there are several."""
    beside: tuple[Head, ...] = ()
    """What answers the questions beside the first, each over the same vectors."""

    @property
    def several(self) -> bool:
        """Whether its answers are sets of classes."""
        return takes_sets(self.model)

    @property
    def questions(self) -> Sequence[tuple[Head, float]]:
        """This question and those beside it, each with what it counts."""
        return [(self, self.weight), *((each, each.weight) for each in self.beside)] if self.beside else [(self, 1.0)]

    def probabilities(self, vectors: Some, *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]`` of vectors ``[N, D]``; see ``Model.probabilities``."""
        model: Any = self.model
        with hardware.threads():
            seen = (model.seen(rows) for rows in widened(vectors))
            found: NDArray[np.float32] = model.block_probabilities(seen, len(vectors), samples=samples, seed=seed)
        return found

    def packed(self) -> PackedHead:
        """What a worker makes the same head of."""
        weights, config = self.model.state()
        about = {name: getattr(self, name) for name in PACKED}
        return PackedHead(about, type(self.model), weights, config, tuple(each.packed() for each in self.beside))


PACKED: Final = ("version", "labels", "encoder", "over_classes", "control", "weight")
"""Fields of a head that are sent as they are."""


@dataclass(frozen=True)
class PackedHead:
    """A head that can be sent to another process: a model has locks and caches, which cannot."""

    about: dict[str, Any]
    """By name, the fields of `PACKED`."""
    kind: type[Model]
    weights: dict[str, Tensor]
    config: dict[str, Any]
    beside: tuple[PackedHead, ...]

    def unpacked(self) -> Head:
        """The head. Raises ModelError."""
        model = self.kind.from_state(self.about["labels"], self.weights, self.config)
        return Head(**self.about, model=model, beside=tuple(each.unpacked() for each in self.beside))


def head_of(manifest: Manifest, model: Model) -> Head:
    """The head of a version.

    Args:
        manifest: of the version.
        model: its model, loaded.

    Raises:
        ConfigurationError: the model reads rows itself (`encoders.encoder_for`).
    """
    encoder = encoder_for(MODELS[manifest.model], str(manifest.config.get("encoder") or ""))
    over: OverClasses = "largest" if manifest.settings.get("set_uncertainty") == "largest" else "mean"
    return Head(manifest.name, manifest.labels, encoder, model, over, manifest.control)


def with_beside(head: Head, others: Iterable[Beside], weight: float = 1.0) -> Head:
    """A head that answers other questions as well; those that another encoder's vectors are read for are left out.

    Args:
        head: of the first question.
        others: of the questions beside it, as a round learnt them.
        weight: of the first, in an order.
    """
    found = []
    for each in others:
        encoder = encoder_for(type(each.model), str(each.model.state()[1].get("encoder") or ""))
        if encoder == head.encoder:
            asked = each.question
            found.append(
                Head(
                    *(head.version, asked.labels, encoder, each.model, head.over_classes),
                    control=asked.control,
                    weight=each.weight,
                )
            )
    return replace(head, weight=weight, beside=tuple(found))


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
    if about.encoder != name or about.made_of != head.encoder.made_of:
        raise StoreError(
            f"The vectors in {vectors.folder} were made by {about.made_of}, and version {head.version} reads through "
            f"{head.encoder.made_of}: delete the folder, and call lsal pool embed."
        )
    if head.encoder.kind == PARTS and about.dimensions != (reads := head.model.state()[1]["dimensions"]):
        raise StoreError(
            f"The vectors in {vectors.folder} are of {about.dimensions} numbers, and version {head.version} reads "
            f"{reads}: it learnt from other objects. Train a new version, or connect the pool again."
        )


def doubts(probabilities: NDArray[np.floating], head: Head) -> NDArray[np.float32]:
    """How unsure a head is of each row ``[N]``, 0 sure, 1 undecided: `entropy`; of sets that of yes and no.

    Args:
        probabilities: of each class ``[N, C]``.
        head: whose they are. Of sets it says whether the mean over the classes counts, or the largest.
    """
    if not head.several:
        return entropy(probabilities)
    binary = np.stack([entropy(np.stack([1 - p, p], axis=1)) for p in probabilities.T], axis=1)
    return np.asarray(binary.max(axis=1) if head.over_classes == "largest" else binary.mean(axis=1))


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
