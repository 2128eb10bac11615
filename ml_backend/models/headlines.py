"""Short texts: hashed n-grams, one hidden layer, dropout before the output.

``text -> n-grams [F] -> TF-IDF, unit length -> tanh(E·x + b) [D] -> dropout -> W·h + c [C]``

Built for few labels, rare classes and any language: it needs no vocabulary, tokenizer or pretrained weights.
A pretrained encoder belongs where ``hashed_ngrams`` is: one function from texts to features.
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
from scipy import sparse
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from ml_backend import hardware
from ml_backend.encoders.feature_cache import FeatureCache
from ml_backend.errors import BadItemError
from ml_backend.models import checks
from ml_backend.models import torch_parts as _shared
from ml_backend.models.base import LabeledItems, Targets, TrainingReport
from ml_backend.models.ngrams import hashed_ngrams
from ml_backend.records import Progress, no_progress

MAX_CHARACTERS = 5_000
"""A text is cut here: headlines and paragraphs fit, a pasted book cannot stall a round."""

MAX_FEATURES = 100_000
"""The most documented n-grams that get weights: bounds a version at 25 MB for ever so many labels."""

WATCHED = 2_000
"""Validation texts: looking at them 20 times costs 3 % of a training on 95 headlines."""

HIDDEN = 64
BLOCK = 4_096
"""Texts held as features at a time."""

MAX_CLASS_WEIGHT = 10.0
"""How much more one example of the rarest class may count. Above ~19 the smoothed targets of a common class would
already favour the rare one, and everything would be called positive."""


class _Network(nn.Module):
    """TF-IDF over the n-grams seen in training, hidden layer and head.

    ``columns [S]`` are the seen n-grams' feature numbers; all other n-grams only lengthen the vector, so that a text
    about something new gives little evidence for any class.
    """

    columns: Tensor
    idf: Tensor
    unseen_idf: Tensor

    def __init__(self, seen: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("columns", torch.zeros(seen, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(seen))
        self.register_buffer("unseen_idf", torch.zeros(1))
        self.hidden = nn.EmbeddingBag(seen, HIDDEN, mode="sum", include_last_offset=True)
        self.bias = nn.Parameter(torch.zeros(HIDDEN))
        self.head = nn.Linear(HIDDEN, classes)

    def weigh(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF ``[N, S]``, of unit length before the unseen n-grams are left out."""
        features = hashed_ngrams(texts)
        idf = np.full(features.shape[1], self.unseen_idf.item(), dtype=np.float32)
        idf[self.columns.numpy()] = self.idf.numpy()
        features.data *= idf[features.indices]
        return normalize(features, copy=False)[:, self.columns.numpy()]

    def embed(self, rows: sparse.csr_matrix, feature_dropout: float, generator: torch.Generator | None) -> Tensor:
        """Hidden activations ``[N, D]``; a generator leaves out n-grams at random (training only)."""
        weights = torch.from_numpy(rows.data)
        if generator is not None:
            weights = _shared.dropout(weights, feature_dropout, generator)
        indices, offsets = (torch.from_numpy(a.astype(np.int64)) for a in (rows.indices, rows.indptr))
        return torch.tanh(self.hidden(indices, offsets, per_sample_weights=weights) + self.bias)


class Headlines:
    """Text classifier for 2-100 classes.

    Rare classes count more in training (up to ``MAX_CLASS_WEIGHT`` times), so its probabilities are those of a pool
    where classes are about equally common: a class of 1 in 10 is found at p > 0.5, and entropy peaks on its border.
    """

    name: ClassVar[str] = "headlines"
    object_tag: ClassVar[str] = "Text"
    learns_features: ClassVar[bool] = True

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checks.check_labels(self.name, labels)
        self._network: _Network | None = None
        self._dropout = 0.0
        self._cache = FeatureCache(HIDDEN)

    @property
    def stochastic(self) -> bool:
        """Whether dropout passes differ from each other."""
        return self._dropout > 0

    @classmethod
    def missing(cls) -> str | None:
        """Nothing: it needs no weights."""
        return None

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
        """The text, stripped and cut at ``MAX_CHARACTERS``.

        Raises:
            BadItemError: no string, or an empty one.
        """
        if not isinstance(raw, str):
            raise BadItemError(
                f"Expected a text, got {type(raw).__name__}; check the task's data and the value of <Text>"
            )
        text = raw.strip()
        if not text:
            raise BadItemError("The text is empty; there is nothing to classify")
        return text[:MAX_CHARACTERS]

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

        Momentum SGD rather than Adam: Adam gives n-grams seen once as large a weight as telling ones
        (measured on 95 headlines: AUC 0.66 with Adam, 0.72 with SGD).
        """
        started = time.perf_counter()
        chosen = checks.resolve_hyperparameters(self.name, self.hyperparameters(), hyperparameters)
        y = torch.from_numpy(checks.check_training_data(self.name, items, targets, self.labels))
        generator = torch.Generator().manual_seed(seed)
        network = _new_network(items, len(self.labels), generator)
        rows = network.weigh(items)
        batch, count = min(int(chosen["batch_size"]), len(items)), len(items)
        steps = int(chosen["steps"]) or max(150, 10 * math.ceil(count / batch))
        decayed: dict[str, Any] = {"params": [network.hidden.weight], "weight_decay": chosen["weight_decay"]}
        free: dict[str, Any] = {"params": [network.bias, network.head.weight, network.head.bias], "weight_decay": 0.0}
        optimizer = torch.optim.SGD([decayed, free], lr=chosen["learning_rate"], momentum=0.9, nesterov=True)
        weights = class_weights(y, len(self.labels))

        def loss(logits: Tensor, targets: Tensor) -> Tensor:
            # torch smooths towards the class weights: an example of a common class leaves room for the rare ones.
            # After 10 positives of 95 that moves F from 0.00 to 0.35 at a slightly better AUC.
            return F.cross_entropy(logits, targets, weight=weights, label_smoothing=chosen["label_smoothing"])

        def loss_of(picked: Tensor) -> Tensor:
            hidden = network.embed(rows[picked.numpy()], chosen["feature_dropout"], generator)
            return loss(network.head(_shared.dropout(hidden, chosen["dropout"], generator)), y[picked])

        watch = None
        seen = _shared.held_out(self.name, validation, self.labels, WATCHED)
        if seen is not None:
            held_rows, held_y = network.weigh(seen[0]), seen[1]
            watch = _shared.Watch(
                network, len(held_y), lambda: loss(network.head(network.embed(held_rows, 0.0, None)), held_y)
            )
        epochs, curve = _shared.minimise(
            self.name,
            loss_of,
            optimizer,
            examples=count,
            batch=batch,
            steps=steps,
            generator=generator,
            progress=progress,
            watch=watch,
        )
        self._network, self._dropout, self._cache = network.eval(), chosen["dropout"], FeatureCache(HIDDEN)
        used = chosen | {"steps": steps, "seed": seed}
        return TrainingReport(count, len(epochs), time.perf_counter() - started, epochs, used, curve)

    def probabilities(self, items: Sequence[str], *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Class probabilities ``[N, K, C]``; see ``Model.probabilities``."""
        network = self._fitted()
        checks.check_samples(self.name, samples)
        hidden = self.embed(items)
        with hardware.threads(), torch.inference_mode():
            return _shared.head_probabilities(hidden, network.head, self._dropout, samples, seed)

    def embed(self, items: Sequence[str]) -> NDArray[np.float32]:
        """Hidden activations ``[N, D]``, dropout off; computed once per text."""
        self._fitted()
        return self._cache.get(items, str, self._embed)

    @hardware.threads()
    def _embed(self, items: Sequence[str]) -> NDArray[np.float32]:
        network = self._fitted()
        out = np.empty((len(items), HIDDEN), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(items), BLOCK):
                rows = network.weigh(items[start : start + BLOCK])
                out[start : start + BLOCK] = network.embed(rows, 0.0, None).numpy()
        return out

    def sharpen(self, factor: float) -> None:
        """Multiply all logits; see ``Model.sharpen``."""
        _shared.scale_head(self._fitted().head, factor)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and configuration for ``from_state``."""
        network = self._fitted()
        weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return weights, {"dropout": self._dropout, "seen": len(network.columns)}

    @classmethod
    def from_state(cls, labels: Sequence[str], weights: dict[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a fitted model; see ``Model.from_state``."""
        model = cls(labels)
        model._dropout = _shared.stored_number(cls.name, config, "dropout")
        seen = int(_shared.stored_number(cls.name, config, "seen"))
        with torch.device("meta"):
            model._network = _Network(seen, len(model.labels))
        _shared.load_weights(cls.name, model._network, weights)
        return model

    def _fitted(self) -> _Network:
        return _shared.fitted(self.name, self._network)


def _new_network(texts: Sequence[str], classes: int, generator: torch.Generator) -> _Network:
    """A network for the n-grams of ``texts``: ``idf = ln((1 + N) / (1 + df)) + 1``, as in scikit-learn."""
    features = hashed_ngrams(texts)
    documents = np.bincount(features.indices, minlength=features.shape[1])
    seen = np.flatnonzero(documents)
    if len(seen) > MAX_FEATURES:
        seen = np.sort(np.argsort(-documents, kind="stable")[:MAX_FEATURES])
    with torch.device("meta"):
        network = _Network(len(seen), classes)
    _shared.initialise(network, generator)
    rare = math.log(1 + len(texts)) + 1
    with torch.no_grad():
        network.columns.copy_(torch.from_numpy(seen))
        network.idf.copy_(torch.from_numpy(rare - np.log1p(documents[seen])))
        network.unseen_idf.fill_(rare)
        # Hidden units start apart, or all would stay equal: the embedding itself starts at zero.
        network.bias.normal_(0.0, 0.1, generator=generator)
    return network


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Count of the most common class / own count, at most ``MAX_CLASS_WEIGHT``; 1 for a class without examples."""
    counts = targets.sum(dim=0) if targets.ndim == 2 else torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, counts.max() / counts.clamp(min=1), 1.0).clamp(max=MAX_CLASS_WEIGHT)
