"""The network of `headlines`: TF-IDF of hashed n-grams, one hidden layer, a head.

Axes: ``N`` texts, ``S`` n-grams seen in training, ``D`` hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from ml_backend.models.layers import HeadedNetwork, dropout, initialise
from ml_backend.models.ngrams import hashed_ngrams

MAX_FEATURES = 100_000
"""The most documented n-grams that get weights: bounds a version at 25 MB for ever so many labels."""


class Network(HeadedNetwork):
    """TF-IDF over the n-grams seen in training, hidden layer and head.

    ``columns [S]`` are the seen n-grams' feature numbers; all other n-grams only lengthen the vector, so that a text
    about something new gives little evidence for any class.
    """

    columns: Tensor
    idf: Tensor
    unseen_idf: Tensor

    def __init__(self, seen: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("columns", torch.zeros(seen, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(seen))
        self.register_buffer("unseen_idf", torch.zeros(1))
        # Without a first drawing of weights, for which torch would import its compiler.
        weights = torch.empty(seen, hidden)
        self.hidden = nn.EmbeddingBag.from_pretrained(weights, freeze=False, mode="sum", include_last_offset=True)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.head = nn.Linear(hidden, classes)

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
            weights = dropout(weights, feature_dropout, generator)
        indices, offsets = (torch.from_numpy(a.astype(np.int64)) for a in (rows.indices, rows.indptr))
        return torch.tanh(self.hidden(indices, offsets, per_sample_weights=weights) + self.bias)


def new_network(texts: Sequence[str], hidden: int, classes: int, generator: torch.Generator) -> Network:
    """A network for the n-grams of ``texts``: ``idf = ln((1 + N) / (1 + df)) + 1``, as in scikit-learn."""
    features = hashed_ngrams(texts)
    documents = np.bincount(features.indices, minlength=features.shape[1])
    seen = np.flatnonzero(documents)
    if len(seen) > MAX_FEATURES:
        seen = np.sort(np.argsort(-documents, kind="stable")[:MAX_FEATURES])
    with torch.device("meta"):
        network = Network(len(seen), hidden, classes)
    initialise(network, generator)
    rare = math.log(1 + len(texts)) + 1
    with torch.no_grad():
        network.columns.copy_(torch.from_numpy(seen))
        network.idf.copy_(torch.from_numpy(rare - np.log1p(documents[seen])))
        network.unseen_idf.fill_(rare)
        # Hidden units start apart, or all would stay equal: the embedding itself starts at zero.
        network.bias.normal_(0.0, 0.1, generator=generator)
    return network
