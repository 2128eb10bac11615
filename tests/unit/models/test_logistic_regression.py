"""The optimum is that of all examples, in whatever bits and blocks they come."""

import numpy as np
import torch

from ml_backend.models.logistic_regression import BLOCK, Examples, minimise


def test_features_in_16_bits_have_the_optimum_of_the_same_numbers_in_32():
    draws = np.random.default_rng(0)
    x = torch.from_numpy(draws.normal(size=(2 * BLOCK + 3, 16)).astype(np.float16))
    y = torch.eye(3)[torch.from_numpy(draws.integers(3, size=len(x)))]
    weights = torch.from_numpy(draws.uniform(0.5, 1.5, len(x)).astype(np.float32))
    found, losses = minimise(Examples(x, y, weights), 1.0, 50)
    expected, _ = minimise(Examples(x.float(), y, weights), 1.0, 50)
    np.testing.assert_array_equal(found, expected)
    assert losses[-1] < losses[0]


def test_the_slope_over_all_blocks_is_0_at_the_optimum():
    """Also of the last block, which is a short one and contradicts the others."""
    draws = np.random.default_rng(1)
    x = draws.normal(size=(BLOCK + 5, 4)).astype(np.float32)
    targets = (x[:, 0] > 0).astype(np.int64)
    targets[BLOCK:] = 1 - targets[BLOCK:]
    examples = Examples(torch.from_numpy(x), torch.eye(2)[torch.from_numpy(targets)], torch.ones(len(x)))
    found, _ = minimise(examples, 1.0, 200, least_gain=1e-12)
    logits = x @ found[:, :-1].T + found[:, -1]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    left = (p / p.sum(axis=1, keepdims=True) - np.eye(2)[targets]).T @ np.hstack([x, np.ones((len(x), 1))])
    left[:, :-1] += found[:, :-1]
    assert np.abs(left).max() / len(x) < 1e-4
