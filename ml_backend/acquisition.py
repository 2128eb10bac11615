"""Acquisition functions: class probabilities in, informativeness out. Larger means ask sooner, everywhere.

Axes: ``N`` items, ``K`` stochastic passes (Monte-Carlo dropout), ``C`` classes. ``p`` is the mean over the passes.
Every function takes ``probabilities [N, K, C]`` and one uniform draw per item ``[N]`` and returns ``float64 [N]``.
MC dropout is not a function of its own: predictive entropy over ``K > 1`` passes *is* dropout entropy.

Add a strategy: write one function and one line in ``ACQUISITIONS``. Tests, CLI help and docs iterate the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from ml_backend.errors import AcquisitionError

Floats = NDArray[np.float64]
ROW_SUM_TOLERANCE = 1e-3
"""float32 rows sum to 0.999999; a row further off is a model's mistake and is never repaired by guessing."""


def random(probabilities: Floats, draws: Floats) -> Floats:
    """Ask in random order: the control arm that every claim needs."""
    del probabilities
    return draws.copy()


def least_confidence(probabilities: Floats, draws: Floats) -> Floats:
    """``(1 - max_c p_c) C / (C - 1)``, in [0, 1] (Lewis & Gale 1994; Monarch 2021, ch. 3)."""
    del draws
    p = probabilities.mean(axis=1)  # [N, C]
    classes = p.shape[1]
    return np.asarray((1.0 - p.max(axis=1)) * classes / (classes - 1))


def margin(probabilities: Floats, draws: Floats) -> Floats:
    """``1 - (p_(1) - p_(2))``, the two largest, in [0, 1] (Scheffer, Decomain & Wrobel 2001)."""
    del draws
    p = probabilities.mean(axis=1)
    top = np.partition(p, -2, axis=1)[:, -2:]  # [N, 2], ascending
    return np.asarray(1.0 - (top[:, 1] - top[:, 0]))


def entropy(probabilities: Floats, draws: Floats) -> Floats:
    """``H(p) / ln C``, in [0, 1] (Shannon 1948; Settles 2009).

    With ``K > 1`` this is the predictive entropy of Monte-Carlo dropout (Gal, Islam & Ghahramani 2017).
    """
    del draws
    # entr(p) = -p ln p with the limit 0 at p = 0, where the plain formula gives NaN.
    return np.asarray(entr(probabilities.mean(axis=1)).sum(axis=1) / np.log(probabilities.shape[2]))


def bald(probabilities: Floats, draws: Floats) -> Floats:
    """``H(mean_k p_k) - mean_k H(p_k)`` in nats, in [0, ln C] (Houlsby et al. 2011; Gal et al. 2017).

    The mutual information between the label and the weights: high where the passes are sure but disagree.
    """
    del draws
    total = entr(probabilities.mean(axis=1)).sum(axis=1)  # [N]
    expected = entr(probabilities).sum(axis=2).mean(axis=1)  # [N]
    return np.asarray(np.maximum(total - expected, 0.0))  # rounding can give -1e-17


@dataclass(frozen=True)
class Acquisition:
    """One registry entry."""

    score: Callable[[Floats, Floats], Floats]
    summary: str
    """When to use it, in one line: CLI help and docs show it."""
    stochastic: bool = False
    """Whether it needs ``K > 1`` dropout passes."""
    needs_model: bool = True
    maximum: Callable[[int], float] = lambda classes: 1.0  # noqa: ARG005
    """Largest possible score for ``C`` classes: what the score is divided by to be normalised."""


def _ln(classes: int) -> float:
    return float(np.log(classes))


ACQUISITIONS: dict[str, Acquisition] = {
    "entropy": Acquisition(entropy, "least certain over all classes; a good default"),
    "dropout_entropy": Acquisition(entropy, "entropy of the mean over dropout passes; steadier", stochastic=True),
    "bald": Acquisition(bald, "where dropout passes disagree; ignores plain noise", stochastic=True, maximum=_ln),
    "least_confidence": Acquisition(least_confidence, "lowest top probability"),
    "margin": Acquisition(margin, "smallest gap between the two best classes"),
    "random": Acquisition(random, "the control arm; also the order before a first model", needs_model=False),
}


def get_acquisition(name: str) -> Acquisition:
    """Look a strategy up.

    Raises:
        AcquisitionError: the name is not registered; the message lists those that are.
    """
    try:
        return ACQUISITIONS[name]
    except KeyError:
        raise AcquisitionError(f"Unknown strategy {name!r}; choose one of: {', '.join(ACQUISITIONS)}.") from None


def check_probabilities(probabilities: NDArray[np.floating]) -> Floats:
    """Return ``probabilities [N, K, C]`` as float64, or say which row is wrong.

    Raises:
        AcquisitionError: wrong number of axes, no pass, fewer than two classes, a value that is NaN, infinite or
            negative, or a row that does not sum to 1 within 1e-3. The message names the row.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 3 or values.shape[1] < 1 or values.shape[2] < 2:
        raise AcquisitionError(
            f"Probabilities must have shape [items, samples >= 1, classes >= 2]; got {values.shape}."
        )
    bad = ~np.isfinite(values) | (values < 0)
    with np.errstate(invalid="ignore"):  # inf - inf, in a row that `bad` has already
        off = np.abs(values.sum(axis=2) - 1.0) > ROW_SUM_TOLERANCE
    wrong = bad.any(axis=(1, 2)) | off.any(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AcquisitionError(
            f"Item {row} has probabilities {values[row].tolist()}: each pass must be finite, not negative and sum "
            f"to 1. {int(wrong.sum())} of {len(values)} items are affected; the model's output is broken."
        )
    return values
