"""Short texts: hashed n-grams, one hidden layer, dropout before the output.

``text -> n-grams [F] -> TF-IDF, unit length -> tanh(E·x + b) [D] -> dropout -> W·h + c [C]``

Built for few labels, rare classes and any language: it needs no vocabulary, tokenizer or pretrained weights.
A pretrained encoder belongs where ``hashed_ngrams`` is: one function from texts to features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.models.checks import stored_number
from ml_backend.models.texts import read_text
from ml_backend.models.torch_classifier import TorchClassifier

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ml_backend.models.headlines_network import Network
    from ml_backend.models.optimizers import Momentum
    from ml_backend.models.training import Plan

WATCHED = 2_000
"""Validation texts: looking at them costs little beside a training."""
HIDDEN = 64
BLOCK = 4_096
"""Texts held as features at a time."""


class Headlines(TorchClassifier["Network"]):
    """Text classifier over words and their neighbours, in any language, for 2 to 1,000 classes.

    Rare classes count more in training (`class_weights`), so its probabilities are those of a pool where classes are
    about equally common: a class of 1 in 10 is found at p > 0.5, and entropy peaks on its border.

    Momentum SGD rather than Adam: Adam gives n-grams seen once as large a weight as telling ones.
    """

    name: ClassVar[str] = "headlines"
    object_tag: ClassVar[str] = "Text"
    dimensions: ClassVar[int] = HIDDEN

    @classmethod
    def hyperparameters(cls) -> Mapping[str, Any]:
        """Names and default values accepted by ``fit``; ``steps=0`` chooses by the number of examples."""
        return {
            "steps": 0,
            "batch_size": 256,
            "learning_rate": 0.5,
            "weight_decay": 1e-3,
            "dropout": 0.5,
            "feature_dropout": 0.5,
            "label_smoothing": 0.1,
        }

    @classmethod
    def read_item(cls, raw: bytes | str) -> str:
        """The text, stripped and cut; see `read_text`."""
        return read_text(raw)

    def _plan(
        self, items: Sequence[str], targets: Tensor, chosen: Mapping[str, Any], generator: torch.Generator
    ) -> Plan[Network]:
        from ml_backend.models.headlines_network import new_network
        from ml_backend.models.layers import dropout
        from ml_backend.models.training import Plan, class_weights, loss_of, set_weights

        network = new_network(items, HIDDEN, len(self.labels), generator)
        rows, weights = (
            network.weigh(items),
            (set_weights(targets) if self.multiple else class_weights(targets, len(self.labels))),
        )
        batch = min(int(chosen["batch_size"]), len(items))
        steps = int(chosen["steps"]) or max(150, 10 * math.ceil(len(items) / batch))
        loss = loss_of(multiple=self.multiple, smoothing=chosen["label_smoothing"], weights=weights)

        def batch_loss(picked: Tensor) -> Tensor:
            hidden = network.embed(rows[picked.numpy()], chosen["feature_dropout"], generator)
            return loss(network.head(dropout(hidden, chosen["dropout"], generator)), targets[picked])

        def held_out_loss(held: Sequence[str], y: Tensor) -> Callable[[], Tensor]:
            rows = network.weigh(held)
            return lambda: loss(network.head(network.embed(rows, 0.0, None)), y)

        optimizer = _optimizer(network, chosen)
        return Plan(network, optimizer, batch, steps, batch_loss, held_out_loss, WATCHED, {"steps": steps})

    @hardware.threads()
    def _features(self, items: Sequence[str]) -> NDArray[np.float32]:
        import torch

        network = self._fitted()
        out = np.empty((len(items), HIDDEN), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                rows = network.weigh(items[start : start + BLOCK])
                out[start : start + BLOCK] = network.embed(rows, 0.0, None).numpy()
        return out

    def _config(self) -> dict[str, Any]:
        return {"seen": len(self._fitted().columns)}

    def _empty(self, config: Mapping[str, Any]) -> Network:
        from ml_backend.models.headlines_network import Network

        return Network(int(stored_number(self.name, config, "seen")), HIDDEN, len(self.labels))


def _optimizer(network: Network, chosen: Mapping[str, Any]) -> Momentum:
    """Only the n-grams' weights decay."""
    from ml_backend.models.optimizers import Momentum

    decayed = [network.hidden.weight], float(chosen["weight_decay"])
    free = [network.bias, network.head.weight, network.head.bias], 0.0
    return Momentum([decayed, free], chosen["learning_rate"])
