"""What every model offers to the loop.

Axes used throughout: ``N`` items, ``K`` stochastic passes, ``C`` classes, ``D`` embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

Targets = NDArray[np.int64] | NDArray[np.float32]
"""A class, or the probability of each, per item: ``int64 [N]`` or ``float32 [N, C]``. Of answers of several choices
which classes are in the set, ``[N, C]`` from 0 to 1."""


@dataclass(frozen=True)
class LabeledItems:
    """Items whose labels are known."""

    items: Sequence[Any]
    targets: NDArray[np.int64]
    """Indices into the labels, one per item ``[N]``; of answers of several choices 1 for those chosen ``[N, C]``."""


@dataclass(frozen=True)
class ValidationCurve:
    """What a training would have cost on items that it never saw, along the way."""

    items: int
    epochs: tuple[int, ...]
    """At the end of which it was looked at, rising; the last is the training's last."""
    loss: tuple[float, ...]
    """Mean loss of the items at each of these, in nats: as in training, but without dropout and distortion."""


@dataclass(frozen=True)
class TrainingReport:
    """What happened in one ``fit``."""

    examples: int
    epochs: int
    seconds: float
    loss: tuple[float, ...]
    """Mean training loss of each epoch, in nats."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    validation: ValidationCurve | None = None
    """None where there was nothing to validate on."""


class Model(Protocol):
    """A classifier over a fixed set of labels.

    The label set comes from the labeling config, never from the data: a class without examples still has
    its column in ``probabilities``. Items are what ``read_item`` returned; targets are indices into ``labels``.

    One that can learn answers of several choices, too, says ``takes_several = True``, takes ``multiple=True`` beside
    its labels, and keeps that as ``multiple``. Its targets are then sets ``[N, C]``, the probabilities of an item's
    classes each between 0 and 1 by themselves, and ``thresholds`` (``[C]``, or None for one half) say from where a
    class is in the set; see `several`.
    """

    name: ClassVar[str]
    """Registry name; versions are called after it."""
    object_tag: ClassVar[str]
    """Label Studio object tag this model understands, e.g. ``Image``."""

    learns_features: ClassVar[bool]
    """Whether training shapes what ``embed`` returns; else it is a fixed encoder's."""

    labels: tuple[str, ...]

    @property
    def stochastic(self) -> bool:
        """Whether dropout passes differ from each other; they do not where it was trained without dropout."""

    def __init__(self, labels: Sequence[str]) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it, and how to get that; None where it can be used."""

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``."""

    @classmethod
    def read_item(cls, raw: bytes | str) -> Any:
        """Turn one task's raw content (image bytes, or text) into an item.

        Raises:
            BadItemError: the content is no image of a known format, or an empty text.
        """

    def fit(
        self,
        items: Sequence[Any],
        targets: Targets,
        *,
        seed: int,
        hyperparameters: Mapping[str, Any] | None = None,
        validation: LabeledItems | None = None,
        progress: Progress = no_progress,
    ) -> TrainingReport:
        """Train from scratch on ``items`` and their classes ``targets [N]``, or class probabilities ``[N, C]``.

        The same seed, items and thread count give the same weights; the global random state is left alone.
        ``validation`` items are only looked at, to report their loss: the weights are the same with and without them.

        Raises:
            ModelError: no items, lengths differ, a target outside the labels, an unknown or invalid hyperparameter,
                or the loss became NaN.
        """

    def probabilities(self, items: Sequence[Any], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]``; each row sums to 1.

        ``samples=1`` is one deterministic pass with dropout off; ``samples=K > 1`` are K passes with dropout on
        (Monte-Carlo dropout, Gal & Ghahramani 2016). The model is left in evaluation mode.

        Raises:
            ModelError: the model was neither fitted nor loaded, or ``samples < 1``.
        """

    def embed(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """Activations of the last hidden layer ``[N, D]``, dropout off."""

    def sharpen(self, factor: float) -> None:
        """Multiply all logits by ``factor``, the inverse of a temperature: calibrates, changes no winner."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights (for safetensors) and a JSON-able configuration, enough for ``from_state``."""

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a fitted model.

        Raises:
            ModelError: weights and configuration do not fit each other.
        """
