"""Texts: a pretrained encoder's vectors, and a linear classifier over them.

``text -> encoder [D], unit length -> dropout -> W·x + c [C]``

The encoder has read a language before; only the classifier is trained, so that a few labels are enough. On headlines
this is what logistic regression finds (a hidden layer is worse with some hundred labels: measured F 0.3-0.5 against 0.6
after 200 of them), with dropout, so that passes can disagree.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.encoders import text_vectors as text_encoding
from ml_backend.errors import ModelError
from ml_backend.models import checks
from ml_backend.models import torch_parts as _shared
from ml_backend.models.base import LabeledItems, Targets, TrainingReport
from ml_backend.models.headlines import Headlines, class_weights
from ml_backend.records import Progress, no_progress

WATCHED = 2_000
"""Validation texts; they are encoded once a process, as evaluation texts are anyway."""


class _Network(nn.Module):
    """The part that is trained."""

    def __init__(self, dims: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(dims, classes)


class Sentences:
    """Text classifier for 2-100 classes over a pretrained encoder.

    Rare classes count more in training, as in `Headlines`.
    """

    name: ClassVar[str] = "sentences"
    object_tag: ClassVar[str] = "Text"
    learns_features: ClassVar[bool] = False

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checks.check_labels(self.name, labels)
        self._network: _Network | None = None
        self._dropout = 0.0
        self._encoder = ""

    @property
    def stochastic(self) -> bool:
        """Whether dropout passes differ from each other."""
        return self._dropout > 0

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it; None where it can be used."""
        reasons = [text_encoding.missing(name) for name in text_encoding.PACKAGED]
        return None if None in reasons else "; ".join(filter(None, reasons))

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``.

        ``encoder`` is ``auto``, a packaged one, or ``sentence_transformers:`` and a name or folder; a version
        remembers which it was. ``penalty`` is scikit-learn's ``1 / C``; 4 gains 1 to 2 points over 1 on AG News titles
        with 10 to 40 random labels. With more, or with labels that were asked for, they are within half a point.
        """
        return {
            "encoder": text_encoding.AUTO,
            "steps": 100,
            "batch_size": 1024,
            "learning_rate": 0.05,
            "penalty": 4.0,
            "dropout": 0.2,
        }

    @classmethod
    def read_item(cls, raw: bytes | str) -> str:
        """The text, as `Headlines` reads it. The encoder sees its first 256 tokens or so."""
        return Headlines.read_item(raw)

    @hardware.threads()
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
        """Train from scratch; see ``Model.fit``.

        Minimises ``Σ w_y CE(W dropout(x) + c, y) + penalty / 2 |W|²``, with class weights ``w`` of mean 1 over the
        examples.
        """
        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        encoder = text_encoding.resolve(chosen["encoder"])
        y = torch.from_numpy(checks.check_training_data(self.name, items, targets, self.labels))
        generator, count = torch.Generator().manual_seed(seed), len(items)
        x = torch.from_numpy(text_encoding.encode(encoder, items))
        with torch.device("meta"):
            network = _Network(x.shape[1], len(self.labels))
        network.to_empty(device="cpu")
        head = network.head
        nn.init.zeros_(head.weight)  # the problem is convex: nothing is gained by a random start
        nn.init.zeros_(head.bias)
        by_class = class_weights(y, len(self.labels))
        weights = y @ by_class if y.ndim == 2 else by_class[y]
        mean_weight = weights.mean()
        weights /= mean_weight
        batch, steps = min(int(chosen["batch_size"]), count), int(chosen["steps"])
        optimizer = torch.optim.Adam(head.parameters(), lr=chosen["learning_rate"])

        def loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
            fitted = (weight * F.cross_entropy(logits, targets, reduction="none")).mean()
            shrunk: Tensor = fitted + chosen["penalty"] / (2 * count) * head.weight.square().sum()
            return shrunk

        def loss_of(picked: Tensor) -> Tensor:
            return loss(head(_shared.dropout(x[picked], chosen["dropout"], generator)), y[picked], weights[picked])

        watch = None
        seen = _shared.held_out(self.name, validation, self.labels, WATCHED)
        if seen is not None:
            held_x, held_y = torch.from_numpy(text_encoding.encode(encoder, seen[0])), seen[1]
            held_weights = by_class[held_y] / mean_weight
            watch = _shared.Watch(network, len(held_y), lambda: loss(head(held_x), held_y, held_weights))
        epochs, curve = _shared.minimise(
            self.name,
            loss_of,
            optimizer,
            examples=count,
            batch=batch,
            steps=max(steps, math.ceil(count / batch)),
            generator=generator,
            progress=progress,
            watch=watch,
        )
        self._network, self._dropout, self._encoder = network.eval(), chosen["dropout"], encoder
        used: dict[str, Any] = chosen | {"encoder": encoder, "seed": seed}
        return TrainingReport(count, len(epochs), time.perf_counter() - started, epochs, used, curve)

    def probabilities(self, items: Sequence[str], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]``; see ``Model.probabilities``."""
        network = _shared.fitted(self.name, self._network)
        checks.check_samples(self.name, samples)
        features = self.embed(items)
        with hardware.threads(), torch.inference_mode():
            return _shared.head_probabilities(features, network.head, self._dropout, samples, seed)

    @hardware.threads()
    def embed(self, items: Sequence[str]) -> NDArray[np.float32]:
        """The encoder's vectors ``[N, D]``; computed once per text and process."""
        _shared.fitted(self.name, self._network)
        return text_encoding.encode(self._encoder, items)

    def sharpen(self, factor: float) -> None:
        """Multiply all logits; see ``Model.sharpen``."""
        _shared.scale_head(_shared.fitted(self.name, self._network).head, factor)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and configuration for ``from_state``; of the encoder only the name."""
        network = _shared.fitted(self.name, self._network)
        weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return weights, {"dropout": self._dropout, "encoder": self._encoder, "dimensions": network.head.in_features}

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a fitted model; see ``Model.from_state``. The encoder is loaded when a text is to be read."""
        model = cls(labels)
        model._dropout = _shared.stored_number(cls.name, config, "dropout")
        encoder = config.get("encoder")
        if not isinstance(encoder, str) or not text_encoding.known(encoder):
            raise ModelError(f"{cls.name}: the stored configuration names no known encoder; train again")
        model._encoder = encoder
        with torch.device("meta"):
            model._network = _Network(int(_shared.stored_number(cls.name, config, "dimensions")), len(model.labels))
        _shared.load_weights(cls.name, model._network, weights)
        return model
