"""Logistic regression over vectors of a pretrained encoder: the body of `sentences` and `photos`.

``item -> vector [D] -> dropout -> W·x + c [C]``

The encoder has seen a world of texts or pictures before; only the classifier is trained, so that a few labels are
enough (a hidden layer is worse with some hundred). Its optimum is found exactly. Dropout is there for passes that are
to disagree; the training is without.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.errors import ModelError
from ml_backend.models import checks
from ml_backend.models.base import LabeledItems, Targets, TrainingReport, ValidationCurve
from ml_backend.models.torch_classifier import HeadedClassifier
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

    from ml_backend.models.layers import EncodedNetwork
    from ml_backend.models.logistic_regression import Examples, Solution
    from ml_backend.models.main_directions import Near

WATCHED = 2_000
"""Validation items; their vectors are kept, as those of evaluation items are anyway."""
UNUSED = ("batch_size", "learning_rate")
"""Hyperparameters of earlier releases, still accepted: the optimum does not depend on the way there."""


class LinearHead(HeadedClassifier["EncodedNetwork"]):
    """Classifier for 2 to 1,000 classes over vectors that are not trained.

    Minimises ``Σ w_y CE(W x + c, y) + penalty / 2 |W|²``, with class weights ``w`` of mean 1 over the examples: rare
    classes count more, as in `Headlines`. Of sets, a logistic regression for each class, see `weighted_sets`.
    """

    learns_features: ClassVar[bool] = False
    weighs_items: ClassVar[bool] = True
    """Whether ``fit`` takes ``weights``."""
    centred: ClassVar[bool] = False
    """Whether the mean of what was trained on is taken away from the vectors."""
    dimensions: ClassVar[int] = 0  # what makes the vectors keeps them

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``.

        ``encoder`` makes the vectors; a version remembers which it was. ``penalty`` is scikit-learn's ``1 / C``; None
        (or ``auto``) chooses it by cross-validation. ``steps``: of the optimizer, at the most. ``batch_size`` and
        ``learning_rate`` are of earlier releases and change nothing.
        """
        return {
            "encoder": "auto",
            "steps": 200,
            "batch_size": 1024,
            "learning_rate": 0.05,
            "penalty": None,
            "dropout": 0.2,
        }

    @abstractmethod
    def _new(self, encoder: str, items: Sequence[Any]) -> EncodedNetwork:
        """A network for these items, its head all 0."""

    @classmethod
    @abstractmethod
    def _knows(cls, encoder: str) -> bool:
        """Whether a stored name is that of an encoder."""

    @hardware.threads()
    def fit(
        self,
        items: Sequence[Any],
        targets: Targets,
        *,
        seed: int,
        hyperparameters: Mapping[str, Any] | None = None,
        validation: LabeledItems | None = None,
        progress: Progress = no_progress,
        weights: NDArray[np.float32] | None = None,
        near: Near | None = None,
    ) -> TrainingReport:
        """Find the optimum; see ``Model.fit``. Nothing is drawn: the seed changes nothing.

        ``weights``: how much each item counts, > 0 ``[N]``, of sets for each class ``[N, C]``; None: all alike.
        ``near``: what a like problem tells of it. There is one optimum, and the way there is shorter then.
        """
        from ml_backend.models import logistic_regression as regression
        from ml_backend.models.training import held_out

        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = checks.check_training_data(self.name, items, targets, self.labels, multiple=self.multiple)
        seen = held_out(self.name, validation, self.labels, WATCHED, multiple=self.multiple)
        steps, penalty = max(int(chosen["steps"]), 1), chosen["penalty"]
        network = self._network = self._new(chosen["encoder"], items).eval()
        self._dropout, self._sharpness = chosen["dropout"], 1.0
        examples, by_class = self._examples(self._learnt_from(items), y, weights)
        if penalty is None:
            penalty = regression.choose_penalty(examples, steps)
        path: list[Solution] = []

        def on_step(solution: Solution) -> None:
            path.append(solution.copy())
            progress(len(path), steps)

        solution, losses = regression.minimise(examples, penalty, steps, start=near, on_step=on_step)
        if len(path) < steps:  # the optimum was found before
            progress(steps, steps)
        regression.put(solution, network.head)
        curve = self._along(path, by_class, *seen) if seen else None
        used = {name: value for name, value in chosen.items() if name not in UNUSED}
        used |= {"encoder": network.encoder, "penalty": penalty, "seed": seed}
        return TrainingReport(len(items), len(losses), time.perf_counter() - started, losses, used, curve)

    def _learnt_from(self, items: Sequence[Any]) -> NDArray[np.floating]:
        """The features ``[N, D]``, in 16 bits where these hold all of them."""
        return self._features(items)

    @classmethod
    @hardware.threads()
    def vectors(
        cls, items: Sequence[Any], labels: Sequence[str], hyperparameters: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """What the head of a model that is trained on these items sees of them ``[N, D]``; nothing is trained.

        Raises:
            ModelError, ConfigurationError: as from ``fit``.
        """
        chosen = checks.resolve_hyperparameters(cls.name, cls.hyperparameters(), hyperparameters)
        model = cls(labels)
        model._network = model._new(chosen["encoder"], items).eval()
        return model._features(items)

    @hardware.threads()
    def embed(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """What the head sees ``[N, D]``: nothing of it depends on the training but, at most, its centre."""
        self._fitted()
        return self._features(items)

    def _config(self) -> dict[str, Any]:
        network = self._fitted()
        return {"encoder": network.encoder, "dimensions": network.head.in_features}

    def _empty(self, config: Mapping[str, Any]) -> EncodedNetwork:
        """The encoder itself is loaded when something is to be read."""
        from ml_backend.models import layers

        encoder = config.get("encoder")
        if not isinstance(encoder, str) or not self._knows(encoder):
            raise ModelError(f"{self.name}: the stored configuration names no known encoder; train again")
        network = layers.CentredNetwork if self.centred else layers.EncodedNetwork
        return network(encoder, int(checks.stored_number(self.name, config, "dimensions")), len(self.labels))

    def _examples(
        self, vectors: NDArray[np.floating], y: Targets, counted: NDArray[np.float32] | None
    ) -> tuple[Examples, Tensor]:
        if self.multiple:
            return weighted_sets(vectors, y, counted)
        return weighted(vectors, y, len(self.labels), counted)

    def _along(
        self, path: Sequence[Solution], by_class: Tensor, items: Sequence[Any], targets: Tensor
    ) -> ValidationCurve:
        """Loss of held-out items along the way to the optimum."""
        import torch

        from ml_backend.models.logistic_regression import binary_cross_entropy, cross_entropy
        from ml_backend.models.training import looked_at

        x, epochs = torch.from_numpy(self._features(items)), sorted(looked_at(len(path)))
        if self.multiple:
            losses = [float(binary_cross_entropy(path[n - 1], x, targets, by_class).mean()) for n in epochs]
        else:
            y = torch.eye(len(self.labels))[targets]
            losses = [float((by_class[targets] * cross_entropy(path[n - 1], x, y)).mean()) for n in epochs]
        return ValidationCurve(len(items), tuple(epochs), tuple(losses))


def weighted(
    vectors: NDArray[np.floating], targets: Targets, classes: int, counted: NDArray[np.float32] | None
) -> tuple[Examples, Tensor]:
    """Examples whose weights have mean 1, and the weight of each class by that measure ``[C]``."""
    import torch

    from ml_backend.models.logistic_regression import Examples
    from ml_backend.models.training import class_weights

    given = torch.from_numpy(targets)
    by_class = class_weights(given, classes)
    y = given if given.ndim == 2 else torch.eye(classes)[given]
    weights = y @ by_class
    if counted is not None:
        weights = weights * torch.from_numpy(counted)
    return Examples(torch.from_numpy(vectors), y, weights / weights.mean()), by_class / weights.mean()


def weighted_sets(
    vectors: NDArray[np.floating], targets: NDArray[Any], counted: NDArray[np.float32] | None
) -> tuple[Examples, Tensor]:
    """Examples of sets ``[N, C]``, weights of mean 1 in each class, and how much being in each class counts ``[C]``.

    `training.set_weights` says how much more an item counts that has a class.
    """
    import torch

    from ml_backend.models.logistic_regression import Examples
    from ml_backend.models.training import set_weights

    y = torch.from_numpy(targets).float()
    by_class = set_weights(y)
    weights = 1 + y * (by_class - 1)
    if counted is not None:
        weights = weights * torch.from_numpy(counted)
    return Examples(torch.from_numpy(vectors), y, weights / weights.mean(dim=0)), by_class
