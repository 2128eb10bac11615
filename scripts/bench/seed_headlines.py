"""The seed's headline classifier, as it was and vectorised: the same network, updates and probabilities.

Bag of words → 128 units, ReLU → two classes; SGD (rate 0.01) one headline at a time. Rebuilt from the description of
https://github.com/rmunro/pytorch_active_learning (active_learning_basics.py; Munro 2021, MIT).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the field's name for it)
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

HIDDEN: Final = 128
RATE: Final = 0.01
EPOCHS: Final = 10
PER_LABEL: Final = 200
"""Most headlines of each label in an epoch."""
RARE: Final = 3
"""Words in fewer places than this are left out."""


@dataclass
class Weights:
    """The network: ``words [V, H]``, ``hidden [H]``, ``out [2, H]``, ``bias [2]``."""

    words: NDArray[np.floating]
    hidden: NDArray[np.floating]
    out: NDArray[np.floating]
    bias: NDArray[np.floating]


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """Words that occur at least three times, numbered."""
    counts = Counter(word for text in texts for word in text.split())
    return {word: i for i, word in enumerate(word for word, count in counts.items() if count >= RARE)}


def initial_weights(size: int, seed: int, dtype: str) -> Weights:
    """What ``nn.Linear`` starts with, from a seed of ours."""
    rng = np.random.default_rng(seed)

    def uniform(*shape: int, fan: int) -> NDArray[np.floating]:
        return rng.uniform(-(fan**-0.5), fan**-0.5, shape).astype(np.float32).astype(dtype)

    return Weights(
        uniform(size, HIDDEN, fan=size),
        uniform(HIDDEN, fan=size),
        uniform(2, HIDDEN, fan=HIDDEN),
        uniform(2, fan=HIDDEN),
    )


def training_order(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Positions to train on, one after the other: per epoch up to 200 of each label, shuffled."""
    rng = np.random.default_rng(seed)
    epochs = []
    for _ in range(EPOCHS):
        mixed = rng.permutation(len(targets))
        epochs.append(rng.permutation(np.concatenate([mixed[targets[mixed] == y][:PER_LABEL] for y in (1, 0)])))
    return np.concatenate(epochs)


def vectorised(
    texts: Sequence[str],
    targets: NDArray[np.int64],
    pool: Sequence[str],
    words: dict[str, int],
    seed: int,
    dtype: str = "float32",
) -> NDArray[np.floating]:
    """Probability that each of the pool is related ``[N]``; a step touches the rows of the headline's words only."""
    start = initial_weights(len(words), seed, dtype)
    e, b, w, c = start.words, start.hidden, start.out, start.bias
    bags = [Counter(words[word] for word in text.split() if word in words) for text in texts]
    rows = [np.fromiter(bag, dtype=np.int64, count=len(bag)) for bag in bags]
    counts = [np.fromiter(bag.values(), dtype=dtype, count=len(bag)) for bag in bags]
    for i in training_order(targets, seed).tolist():
        active, count = rows[i], counts[i]
        z = count @ e[active] + b
        h = np.maximum(z, 0)
        logits = w @ h + c
        p = np.exp(logits - logits.max())
        delta = p / p.sum()
        delta[targets[i]] -= 1
        delta *= RATE
        back = (delta @ w) * (z >= 0)
        e[active] -= np.outer(count, back)
        b -= back
        w -= np.outer(delta, h)
        c -= delta
    hidden = np.maximum(_bags(pool, words) @ e + b, 0)
    logits = hidden @ w.T + c
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


def seeds_way(
    texts: Sequence[str],
    targets: NDArray[np.int64],
    pool: Sequence[str],
    words: dict[str, int],
    seed: int,
    dtype: str = "float32",
) -> NDArray[np.floating]:
    """The same by dense vectors, one item at a time, with autograd over all words."""
    start = initial_weights(len(words), seed, dtype)
    kind = getattr(torch, dtype)
    first, second = nn.Linear(len(words), HIDDEN, dtype=kind), nn.Linear(HIDDEN, 2, dtype=kind)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(start.words.T))
        first.bias.copy_(torch.from_numpy(start.hidden))
        second.weight.copy_(torch.from_numpy(start.out))
        second.bias.copy_(torch.from_numpy(start.bias))

    def vector(text: str) -> torch.Tensor:
        values = torch.zeros(len(words), dtype=kind)
        for word in text.split():
            if word in words:
                values[words[word]] += 1
        return values.view(1, -1)

    def log_probabilities(text: str) -> torch.Tensor:
        return F.log_softmax(second(first(vector(text)).clamp(min=0)), dim=1)

    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=RATE)
    for i in training_order(targets, seed).tolist():
        optimizer.zero_grad()
        F.nll_loss(log_probabilities(texts[i]), torch.tensor([int(targets[i])])).backward()
        optimizer.step()
    with torch.no_grad():
        return np.array([float(log_probabilities(text)[0, 1].exp()) for text in pool], dtype=dtype)


def _bags(texts: Sequence[str], words: dict[str, int]) -> sparse.csr_matrix:
    """Counts of known words ``[N, V]``."""
    written = [text.split() for text in texts]
    lengths = np.fromiter(map(len, written), dtype=np.int64, count=len(written))
    found = map(words.get, chain.from_iterable(written), repeat(-1))
    numbers = np.fromiter(found, dtype=np.int32, count=lengths.sum())
    known = numbers >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[np.cumsum(lengths)]
    columns, starts = numbers[known], np.concatenate([[0], ends])
    shape = (len(texts), len(words))
    return sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), shape=shape)
