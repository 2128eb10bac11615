"""A scikit-learn pipeline as a model: the base of plug-ins that bring one. Nothing is pickled.

A stored pickle runs whatever is in it. Kept instead are the items and targets that the pipeline was fitted to, and it
is fitted to them again where it is loaded: the same seed and items give the same pipeline.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BadItemError, ModelError
from ml_backend.models import checks
from ml_backend.models.base import LabeledItems, Targets, TrainingReport, ValidationCurve
from ml_backend.models.texts import read_text
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST: Final = 1e-6
"""Probability of a class that the pipeline has never seen, before a row is scaled to sum to 1."""


class PipelineModel(ABC):
    """Classifier of texts by ``pipeline``; its last step must have ``predict_proba`` and take ``sample_weight``.

    Args:
        labels: the classes.
    """

    name: ClassVar[str]
    object_tag: ClassVar[str] = "Text"
    learns_features: ClassVar[bool] = True

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checks.check_labels(self.name, labels)
        self._pipeline: Any = None
        self._known: tuple[list[str], NDArray[np.float32], int, dict[str, Any]] | None = None
        """What it was fitted to: items, shares ``[N, C]``, seed, hyperparameters."""
        self._factor = 1.0

    @classmethod
    @abstractmethod
    def pipeline(cls, seed: int, chosen: Mapping[str, Any]) -> Any:
        """A pipeline that is not fitted: ``chosen`` are its hyperparameters."""

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``; none unless the plug-in has some."""
        return {}

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: scikit-learn is always there."""
        return None

    @classmethod
    def read_item(cls, raw: bytes | str) -> str:
        """The text, stripped and cut."""
        return read_text(raw)

    @property
    def stochastic(self) -> bool:
        """No: all passes are the same."""
        return False

    def fit(
        self,
        items: Sequence[str],
        targets: Targets,
        *,
        seed: int,
        hyperparameters: Mapping[str, Any] | None = None,
        validation: LabeledItems | None = None,
        progress: Progress = no_progress,
    ) -> TrainingReport:
        """Fit to items and their classes ``targets [N]``, or class probabilities ``[N, C]``.

        Raises:
            ModelError: no items, wrong targets, an unknown hyperparameter, or what the pipeline refuses.
        """
        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = checks.check_training_data(self.name, items, targets, self.labels)
        shares = y if y.ndim == 2 else np.eye(len(self.labels), dtype=np.float32)[y]  # [N, C]
        self._factor = 1.0
        self._fit(list(items), np.asarray(shares, dtype=np.float32), seed, chosen)
        curve = None
        if validation is not None and len(validation.items):
            loss = self._loss(validation.items, validation.targets)
            curve = ValidationCurve(len(validation.items), epochs=(1,), loss=(loss,))
        progress(1, 1)
        loss, used = self._loss(items, shares.argmax(axis=1)), chosen | {"seed": seed}
        return TrainingReport(len(items), 1, time.perf_counter() - started, (loss,), used, curve)

    def _fit(self, items: list[str], shares: NDArray[np.float32], seed: int, chosen: dict[str, Any]) -> None:
        rows, classes = shares.nonzero()
        pipeline = self.pipeline(seed, chosen)
        weight = {f"{pipeline.steps[-1][0]}__sample_weight": shares[rows, classes]}
        try:
            pipeline.fit([items[row] for row in rows.tolist()], classes, **weight)
        except (ValueError, TypeError) as exc:  # the ways in which scikit-learn refuses
            raise ModelError(f"{self.name}: the pipeline cannot be fitted: {exc}") from exc
        self._pipeline, self._known = pipeline, (items, shares, seed, chosen)

    def _loss(self, items: Sequence[str], targets: NDArray[np.int64]) -> float:
        right = self.probabilities(items)[np.arange(len(items)), 0, targets]
        return float(-np.log(np.maximum(right, 1e-12)).mean())

    def probabilities(self, items: Sequence[str], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """Class probabilities ``[N, K, C]``, all passes alike; classes that no item had are nearly impossible.

        Raises:
            ModelError: the model was neither fitted nor loaded, or ``samples < 1``.
        """
        checks.check_samples(self.name, samples)
        p = self._probabilities(items) ** self._factor
        p /= p.sum(axis=1, keepdims=True)
        return np.repeat(p[:, None], samples, axis=1).astype(np.float32)

    def _probabilities(self, items: Sequence[str]) -> NDArray[np.float64]:
        if self._pipeline is None:
            raise ModelError(f"{self.name} was neither trained nor loaded; call fit or from_state first")
        p = np.full((len(items), len(self.labels)), SMALLEST)
        if len(items):
            p[:, self._pipeline.classes_] += self._pipeline.predict_proba(list(items))
        return p

    def embed(self, items: Sequence[str]) -> NDArray[np.float32]:
        """Logarithms of the probabilities ``[N, C]``: all that every pipeline can tell of an item."""
        return np.log(self._probabilities(items)).astype(np.float32)

    def sharpen(self, factor: float) -> None:
        """Multiply all logits by ``factor``."""
        self._factor *= factor

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The targets, and as JSON the items, seed and hyperparameters."""
        import torch

        if self._known is None:
            raise ModelError(f"{self.name} was neither trained nor loaded; call fit or from_state first")
        items, shares, seed, chosen = self._known
        kept = {"items": items, "seed": seed, "hyperparameters": chosen, "factor": self._factor}
        return {"shares": torch.from_numpy(shares.copy())}, kept

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Fit the pipeline again.

        Raises:
            ModelError: targets and items do not fit each other.
        """
        model = cls(labels)
        shares, items = weights.get("shares"), config.get("items")
        if shares is None or not isinstance(items, list) or shares.shape != (len(items), len(model.labels)):
            raise ModelError(f"{cls.name}: what is stored does not fit {len(labels)} labels; train again")
        try:
            texts = [cls.read_item(item) for item in items]
        except BadItemError as exc:
            raise ModelError(f"{cls.name}: a stored item cannot be read ({exc}); train again") from exc
        chosen = checks.resolve_hyperparameters(cls.name, cls.hyperparameters(), config.get("hyperparameters"))
        model._fit(
            texts, shares.numpy().astype(np.float32), int(checks.stored_number(cls.name, config, "seed")), chosen
        )
        model._factor = checks.stored_number(cls.name, config, "factor")
        return model
