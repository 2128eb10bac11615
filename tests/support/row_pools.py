"""Pools of rows as vectors, and a head that scores them."""

from functools import partial

import numpy as np

from ml_backend.pool.rows import Rows
from ml_backend.pool.utility import Head

DIMENSIONS, CLASSES = 8, 3


class Softmax(Head):
    """A linear head."""

    def __init__(self, seed=0):
        self.weights = np.random.default_rng(seed).normal(size=(DIMENSIONS, CLASSES))

    def probabilities(self, vectors, *, samples=1, seed=0):
        rng = np.random.default_rng(seed)
        masks = np.ones((samples, DIMENSIONS)) if samples == 1 else rng.random((samples, DIMENSIONS)) > 0.3
        logits = np.einsum("nd,kd,dc->nkc", vectors.astype(np.float64), masks, self.weights)
        powers = np.exp(logits - logits.max(axis=2, keepdims=True))
        return (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)


class Sigmoids(Head):
    """A linear head whose answers are sets."""

    several = True

    def __init__(self, seed=0):
        self.weights = np.random.default_rng(seed).normal(size=(DIMENSIONS, CLASSES))

    def probabilities(self, vectors, *, samples=1, seed=0):
        found = 1 / (1 + np.exp(-vectors.astype(np.float64) @ self.weights))
        return np.repeat(found[:, None], samples, axis=1).astype(np.float32)


class Weighed(Softmax):
    """A head with one of another question beside it."""

    def __init__(self, weight, other):
        super().__init__()
        self._weight, self._other = weight, other

    @property
    def questions(self):
        return [(self, self._weight), self._other]


def a_pool(rows=1000, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, DIMENSIONS)).astype(np.float16)
    vectors[::7] = vectors[0]  # copies: their scores tie
    return [f"row {number}" for number in range(rows)], vectors


def in_groups(ids, vectors, size):
    def group(start):
        return Rows.of(ids[start : start + size], vectors[start : start + size])

    return [partial(group, start) for start in range(0, len(ids), size)]
