"""What the torch models share: a subclass gives the network, its features and its loss; the rest is here.

torch is imported where it is used: a model's class is loaded to list it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.encoders.feature_cache import FeatureCache
from ml_backend.errors import ModelError
from ml_backend.models import checks
from ml_backend.models.base import LabeledItems, Targets, TrainingReport
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ml_backend.models.layers import HeadedNetwork
    from ml_backend.models.training import Plan

Network = TypeVar("Network", bound="HeadedNetwork")
SHARPNESS: Final = "sharpness"
"""Key of a stored configuration: what all logits were multiplied by after the training."""
MULTIPLE: Final = "multiple"
AT_ONCE: Final = 8_192
"""Items that are embedded at a time; a multiple of `layers.HEAD_BLOCK`, so that it does not show."""
THRESHOLDS: Final = "thresholds"
USUAL_THRESHOLDS: Final = "usual_thresholds"
"""Keys of one whose answers are sets."""


class HeadedClassifier(ABC, Generic[Network]):
    """All of a `Model` but its training: features ``[N, D]`` of a network, then dropout and a linear head.

    Nothing before the head is random, so K Monte-Carlo dropout passes cost one pass for the features and one matrix
    product.
    """

    name: ClassVar[str]
    object_tag: ClassVar[str]
    learns_features: ClassVar[bool] = True
    dimensions: ClassVar[int]
    """D of the features that `_features` computes."""
    takes_several: ClassVar[bool] = True

    def __init__(self, labels: Sequence[str], *, multiple: bool = False) -> None:
        self.multiple = multiple
        """Whether answers are sets: see `several`."""
        self.thresholds: NDArray[np.float64] | None = None
        self.usual_thresholds: NDArray[np.float64] | None = None
        self.labels = checks.check_labels(self.name, labels)
        self._network: Network | None = None
        self._dropout = 0.0
        self._sharpness = 1.0
        """What `sharpen` has multiplied the logits by since the training."""
        self._cache = FeatureCache(self.dimensions)

    # --- what a subclass gives ---------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``, ``dropout`` among them."""

    @abstractmethod
    def _features(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """What the fitted network's head sees ``[N, D]``."""

    @abstractmethod
    def _empty(self, config: Mapping[str, Any]) -> Network:
        """A network for stored weights, by the stored configuration; called under ``torch.device("meta")``."""

    def _config(self) -> dict[str, Any]:
        """What `_empty` needs, beside the number of labels."""
        return {}

    @staticmethod
    def _key(item: Any) -> Hashable:
        """Equal for equal items, and for no others."""
        return str(item)

    # --- what it gets ------------------------------------------------------------------------------------------

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: it needs no weights."""
        return None

    @property
    def stochastic(self) -> bool:
        """Whether dropout passes differ from each other."""
        return self._dropout > 0

    def probabilities(self, items: Sequence[Any], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]``; see ``Model.probabilities``."""
        checks.check_samples(self.name, samples)
        return self.block_probabilities(self._embedded(items), len(items), samples=samples, seed=seed)

    def _embedded(self, items: Sequence[Any]) -> Iterator[NDArray[np.float32]]:
        """What the head sees of the items, some at a time: of a large pool all are some hundred megabytes."""
        import torch

        from ml_backend.models.layers import in_blocks

        for start in range(0, len(items), AT_ONCE):
            with torch.inference_mode(mode=False):  # networks may be loaded here, and trained elsewhere
                features = self.embed(items[start : start + AT_ONCE])
            yield from in_blocks(features)

    def feature_probabilities(
        self, features: NDArray[np.float32], *, samples: int = 1, seed: int = 0
    ) -> NDArray[np.float32]:
        """As `probabilities`, of what the head sees ``[N, D]``."""
        from ml_backend.models.layers import in_blocks

        return self.block_probabilities(in_blocks(features), len(features), samples=samples, seed=seed)

    def block_probabilities(
        self, blocks: Iterable[NDArray[np.float32]], count: int, *, samples: int = 1, seed: int = 0
    ) -> NDArray[np.float32]:
        """As `feature_probabilities`, of ``count`` items, some at a time; see `layers.head_probabilities`."""
        import torch

        from ml_backend.models.layers import head_probabilities

        network = self._fitted()
        checks.check_samples(self.name, samples)
        with hardware.threads(), torch.inference_mode():
            return head_probabilities(blocks, count, network.head, self._dropout, samples, seed, multiple=self.multiple)

    def embed(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """What the head sees ``[N, D]``, dropout off; computed once per item."""
        self._fitted()
        return self._cache.get(items, self._key, self._features)

    def sharpen(self, factor: float) -> None:
        """Multiply all logits; see ``Model.sharpen``."""
        from ml_backend.models.layers import scale_head
        from ml_backend.models.temperature import sharpened

        scale_head(self._fitted().head, factor)
        self._sharpness *= factor
        if self.thresholds is not None:
            self.thresholds = sharpened(self.thresholds, factor)
        if self.usual_thresholds is not None:
            self.usual_thresholds = sharpened(self.usual_thresholds, factor)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and configuration for ``from_state``."""
        import torch

        # Contiguous, as safetensors wants it.
        weights = {
            name: value.detach().clone(memory_format=torch.contiguous_format)
            for name, value in self._fitted().state_dict().items()
        }
        config = {"dropout": self._dropout, SHARPNESS: self._sharpness, **self._config()}
        if self.multiple:
            config[MULTIPLE] = True
            for key, found in ((THRESHOLDS, self.thresholds), (USUAL_THRESHOLDS, self.usual_thresholds)):
                config[key] = None if found is None else found.tolist()
        return weights, config

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a fitted model; see ``Model.from_state``."""
        import torch

        from ml_backend.models.layers import load_weights

        model = cls(labels, multiple=bool(config.get(MULTIPLE)))
        model.thresholds = checks.stored_thresholds(cls.name, config.get(THRESHOLDS), len(model.labels))
        usual = config.get(USUAL_THRESHOLDS)
        model.usual_thresholds = checks.stored_thresholds(cls.name, usual, len(model.labels))
        model._dropout = checks.stored_number(cls.name, config, "dropout")
        if SHARPNESS in config:  # older versions lack it
            model._sharpness = checks.stored_number(cls.name, config, SHARPNESS)
        with torch.device("meta"):
            network = model._empty(config)
        load_weights(cls.name, network, weights)
        model._network = network
        return model

    def _fitted(self) -> Network:
        if self._network is None:
            raise ModelError(f"{self.name} was neither trained nor loaded; call fit or from_state first")
        return self._network


class TorchClassifier(HeadedClassifier[Network]):
    """A `Model` whose network is trained by batches."""

    @abstractmethod
    def _plan(
        self, items: Sequence[Any], targets: Tensor, chosen: Mapping[str, Any], generator: torch.Generator
    ) -> Plan[Network]:
        """A new network for the items, and how to train it; what is random comes from ``generator``."""

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
        start: Self | None = None,
    ) -> TrainingReport:
        """Train; see ``Model.fit``. ``start``: a fitted model whose weights it goes on from; None: from scratch."""
        import torch

        from ml_backend.models import training

        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = torch.from_numpy(checks.check_training_data(self.name, items, targets, self.labels, multiple=self.multiple))
        generator = torch.Generator().manual_seed(seed)
        plan = self._plan(items, y, chosen, generator)
        if start is not None:
            self._take_weights(plan.network, start)
        watch = training.watch(self.name, plan, validation, self.labels, multiple=self.multiple)
        epochs, curve = training.minimise(
            self.name, plan, len(items), generator=generator, progress=progress, watch=watch
        )
        self._network, self._dropout, self._sharpness = plan.network.eval().cpu(), chosen["dropout"], 1.0
        self._cache = FeatureCache(self.dimensions)
        used = chosen | dict(plan.used) | {"seed": seed}
        return TrainingReport(len(items), len(epochs), time.perf_counter() - started, epochs, used, curve)

    def _take_weights(self, network: Network, start: Self) -> None:
        """Give a new network the weights of a fitted model, as its training left them; layout and device stay.

        Logits that were multiplied afterwards are far from what a training reaches: it would spend its steps on their
        size, and ruin the features meanwhile.

        Raises:
            ModelError: they do not fit.
        """
        from ml_backend.models.layers import scale_head

        try:
            network.load_state_dict(start._fitted().state_dict())
            scale_head(network.head, 1 / start._sharpness)
        except RuntimeError as exc:
            raise ModelError(
                f"{self.name} cannot go on from a model of other classes or another network; train from scratch"
            ) from exc
