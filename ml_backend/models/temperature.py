"""One number that all logits are multiplied by, so that probabilities mean what they say; no answer changes.

Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

WIDEST: Final = 3.0
"""Logarithm of the largest factor, and of one over the smallest."""


def best_factor(
    logits: NDArray[np.floating], targets: NDArray[np.integer], weights: NDArray[np.floating] | None = None
) -> tuple[float, float]:
    """The inverse temperature that makes the targets ``[V]`` most likely under ``logits [V, C]``, and their mean loss.

    ``Σ w_i (ln Σ_c exp(f z_ic) - f z_iy) / Σ w`` is least at this ``f``; in nats.
    """
    return _least(cross_entropies, logits, targets, weights)


def best_factor_of_sets(
    logits: NDArray[np.floating], targets: NDArray[np.integer], weights: NDArray[np.floating] | None = None
) -> tuple[float, float]:
    """As `best_factor`, of sets ``[V, C]`` under ``logits [V, C]``, each class by itself; the loss is of an item."""
    return _least(binary_cross_entropies, logits, targets, weights)


def _least(
    losses: Callable[[NDArray[np.float64], NDArray[np.integer], float], NDArray[np.float64]],
    logits: NDArray[np.floating],
    targets: NDArray[np.integer],
    weights: NDArray[np.floating] | None,
) -> tuple[float, float]:
    """The factor with the least mean loss, and that loss."""
    from scipy.optimize import minimize_scalar

    z = logits.astype(np.float64)

    def loss(log_factor: float) -> float:
        return float(np.average(losses(z, targets, float(np.exp(log_factor))), weights=weights))

    found = minimize_scalar(loss, bounds=(-WIDEST, WIDEST), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def sharpened(probabilities: NDArray[np.floating], factor: float) -> NDArray[np.float64]:
    """Probabilities of yes and no after their logits were multiplied: ``1 / (1 + exp(-f logit p))``."""
    return np.asarray(0.5 * (1 + np.tanh(factor * log_odds(probabilities) / 2)))


def binary_cross_entropies(
    logits: NDArray[np.floating], targets: NDArray[np.number], factor: float = 1.0
) -> NDArray[np.float64]:
    """``Σ_c ln(1 + exp(f z_ic)) - y_ic f z_ic`` of each item ``[V]``, in nats."""
    scaled = logits.astype(np.float64) * factor
    return np.asarray((np.logaddexp(0.0, scaled) - targets * scaled).sum(axis=1))


def log_odds(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """``ln p - ln(1 - p)``; of 0 and 1 those of the nearest probability that float32 knows."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p) - np.log1p(-p))


def cross_entropies(
    logits: NDArray[np.floating], targets: NDArray[np.integer], factor: float = 1.0
) -> NDArray[np.float64]:
    """``ln Σ_c exp(f z_ic) - f z_iy`` of each item ``[V]``, in nats."""
    scaled = logits.astype(np.float64) * factor
    top = scaled.max(axis=1)
    sums = np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return np.asarray(top + sums - scaled[np.arange(len(scaled)), targets])
