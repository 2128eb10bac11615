"""Texts: a pretrained encoder's vectors, and a linear classifier over them.

``text -> encoder [D], unit length -> dropout -> W·x + c [C]``

The encoder has read a language before; only the classifier is trained, so that a few labels are enough. It is logistic
regression, with dropout, so that passes can disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.encoders import text_vectors as text_encoding
from ml_backend.errors import ModelError
from ml_backend.models.checks import stored_number
from ml_backend.models.texts import read_text
from ml_backend.models.torch_classifier import TorchClassifier

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ml_backend.models.layers import EncodedNetwork
    from ml_backend.models.training import Plan

WATCHED = 2_000
"""Validation texts; they are encoded once a process, as evaluation texts are anyway."""


class Sentences(TorchClassifier["EncodedNetwork"]):
    """Text classifier for 2-100 classes over a pretrained encoder.

    Rare classes count more in training, as in `Headlines`. Minimises ``Σ w_y CE(W dropout(x) + c, y) + penalty / 2
    |W|²``, with class weights ``w`` of mean 1 over the examples.
    """

    name: ClassVar[str] = "sentences"
    object_tag: ClassVar[str] = "Text"
    learns_features: ClassVar[bool] = False
    dimensions: ClassVar[int] = 0  # the encoder keeps its own vectors, see `embed`

    @classmethod
    def default_encoder(cls) -> str:
        """What ``auto`` stands for on this machine."""
        return text_encoding.resolve(text_encoding.AUTO)

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it; None where it can be used."""
        reasons = [text_encoding.missing(name) for name in text_encoding.PACKAGED]
        return None if None in reasons else "; ".join(filter(None, reasons))

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``.

        ``encoder`` is ``auto``, a packaged one, or ``sentence_transformers:`` and a name or folder; a version
        remembers which it was. ``penalty`` is scikit-learn's ``1 / C``.
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
        return read_text(raw)

    def _plan(
        self, items: Sequence[str], targets: Tensor, chosen: Mapping[str, Any], generator: torch.Generator
    ) -> Plan[EncodedNetwork]:
        import torch
        from torch.nn.functional import cross_entropy

        from ml_backend.models.layers import EncodedNetwork, dropout
        from ml_backend.models.training import Plan, class_weights

        encoder = text_encoding.resolve(chosen["encoder"])
        x, count = torch.from_numpy(text_encoding.encode(encoder, items)), len(items)
        network = EncodedNetwork.zeros(encoder, x.shape[1], len(self.labels))
        head, by_class = network.head, class_weights(targets, len(self.labels))
        weights = targets @ by_class if targets.ndim == 2 else by_class[targets]
        mean_weight = weights.mean()
        weights /= mean_weight
        batch = min(int(chosen["batch_size"]), count)

        def loss(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
            fitted = (weight * cross_entropy(logits, y, reduction="none")).mean()
            shrunk: Tensor = fitted + chosen["penalty"] / (2 * count) * head.weight.square().sum()
            return shrunk

        def batch_loss(picked: Tensor) -> Tensor:
            return loss(head(dropout(x[picked], chosen["dropout"], generator)), targets[picked], weights[picked])

        def held_out_loss(held: Sequence[str], y: Tensor) -> Callable[[], Tensor]:
            x, weights = torch.from_numpy(text_encoding.encode(encoder, held)), by_class[y] / mean_weight
            return lambda: loss(head(x), y, weights)

        optimizer = torch.optim.Adam(head.parameters(), lr=chosen["learning_rate"])
        steps = max(int(chosen["steps"]), math.ceil(count / batch))
        return Plan(network, optimizer, batch, steps, batch_loss, held_out_loss, WATCHED, {"encoder": encoder})

    @hardware.threads()
    def embed(self, items: Sequence[str]) -> NDArray[np.float32]:
        """The encoder's vectors ``[N, D]``; computed once per text and process."""
        return self._features(items)

    def _features(self, items: Sequence[str]) -> NDArray[np.float32]:
        return text_encoding.encode(self._fitted().encoder, items)

    def _config(self) -> dict[str, Any]:
        network = self._fitted()
        return {"encoder": network.encoder, "dimensions": network.head.in_features}

    def _empty(self, config: Mapping[str, Any]) -> EncodedNetwork:
        """The encoder itself is loaded when a text is to be read."""
        from ml_backend.models.layers import EncodedNetwork

        encoder = config.get("encoder")
        if not isinstance(encoder, str) or not text_encoding.known(encoder):
            raise ModelError(f"{self.name}: the stored configuration names no known encoder; train again")
        return EncodedNetwork(encoder, int(stored_number(self.name, config, "dimensions")), len(self.labels))
