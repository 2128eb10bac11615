"""Acquisition functions: class probabilities in, informativeness out. Larger means ask sooner, everywhere.

Axes: ``N`` items, ``K`` stochastic passes (Monte-Carlo dropout), ``M`` target items, ``C`` classes. ``p`` is the mean
over the passes. Every function takes ``probabilities [N, K, C]`` and returns ``float64 [N]``; it computes in the
precision of its input. MC dropout is not a function of its own: predictive entropy over ``K > 1`` passes *is* dropout
entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml_backend.errors import AcquisitionError

Floats = NDArray[np.float64]
Probabilities = NDArray[np.floating]
ROW_SUM_TOLERANCE = 1e-3
"""float32 rows sum to 0.999999; a row further off is a model's mistake and is never repaired by guessing."""
BLOCK_BYTES = 2**20
"""Items are scored in blocks of about this size: every intermediate then stays in a core's cache."""


def _in_blocks(score: Callable[[Tensor], Tensor]) -> Callable[[Probabilities], Floats]:
    """Make a function of ``[n, K, C]`` one of any number of items, at the speed of the cache."""

    @wraps(score)
    def scored(probabilities: Probabilities) -> Floats:
        values = torch.from_numpy(np.ascontiguousarray(probabilities))
        out = np.empty(len(values), dtype=np.float64)
        step = max(1, BLOCK_BYTES // max(1, values[:1].nbytes))
        for start in range(0, len(values), step):
            out[start : start + step] = score(values[start : start + step]).numpy()
        return out

    return scored


def _mean(values: Tensor) -> Tensor:
    return values[:, 0] if values.shape[1] == 1 else values.mean(dim=1)


def _entropy(p: Tensor) -> Tensor:
    """``-sum_c p_c ln p_c`` over the last axis, in nats, with ``0 ln 0 = 0``."""
    # The smallest normal number stands in for 0 under the logarithm: times 0 it is 0, where ln 0 would make it NaN.
    terms = p.clamp_min(torch.finfo(p.dtype).tiny).log_().mul_(p)
    # A product with -1s sums many times faster than a reduction over a short axis.
    return terms @ torch.full((p.shape[-1],), -1.0, dtype=p.dtype)


def _top_two(p: Tensor) -> tuple[Tensor, Tensor]:
    """The largest and the second largest of each row."""
    columns = p.T.contiguous()  # [C, n]: one pass over the classes, each step over neighbouring numbers
    first, second = torch.maximum(columns[0], columns[1]), torch.minimum(columns[0], columns[1])
    for column in columns[2:]:
        second = torch.maximum(second, torch.minimum(first, column))
        first = torch.maximum(first, column)
    return first, second


@_in_blocks
def least_confidence(probabilities: Tensor) -> Tensor:
    """``(1 - max_c p_c) C / (C - 1)``, in [0, 1] (Lewis & Gale 1994; Monarch 2021, ch. 3)."""
    classes = probabilities.shape[2]
    return (1.0 - _mean(probabilities).amax(dim=1)) * (classes / (classes - 1))


@_in_blocks
def margin(probabilities: Tensor) -> Tensor:
    """``1 - (p_(1) - p_(2))``, the two largest, in [0, 1] (Scheffer, Decomain & Wrobel 2001)."""
    first, second = _top_two(_mean(probabilities))
    return 1.0 - (first - second)


@_in_blocks
def ratio(probabilities: Tensor) -> Tensor:
    """``p_(2) / p_(1)``, the two largest, in [0, 1] (Monarch 2021, ch. 3)."""
    first, second = _top_two(_mean(probabilities))
    return second / first


@_in_blocks
def entropy(probabilities: Tensor) -> Tensor:
    """``H(p) / ln C``, in [0, 1] (Shannon 1948; Settles 2009).

    With ``K > 1`` this is the predictive entropy of Monte-Carlo dropout (Gal, Islam & Ghahramani 2017).
    """
    return _entropy(_mean(probabilities)) / float(np.log(probabilities.shape[2]))


@_in_blocks
def bald(probabilities: Tensor) -> Tensor:
    """``H(mean_k p_k) - mean_k H(p_k)`` in nats, in [0, ln C] (Houlsby et al. 2011; Gal et al. 2017).

    The mutual information between the label and the weights: high where the passes are sure but disagree.
    """
    gain = _entropy(_mean(probabilities)) - _entropy(probabilities).mean(dim=1)
    return gain.clamp_min_(0.0)  # rounding can give -1e-17


@_in_blocks
def variation_ratio(probabilities: Tensor) -> Tensor:
    """``1 - max_c share_c``, ``share_c`` the passes whose most probable class is ``c``, in [0, 1 - 1/C].

    Freeman 1965; Gal, Islam & Ghahramani 2017. A pass in which classes tie gives each an equal part of its vote.
    """
    votes = (probabilities == probabilities.amax(dim=2, keepdim=True)).to(probabilities.dtype)
    shares = (votes / votes.sum(dim=2, keepdim=True)).mean(dim=1)
    return 1.0 - shares.amax(dim=1)


def power_bald(probabilities: Probabilities, draws: Floats) -> Floats:
    """``ln BALD + g`` squashed into [0, 1), ``g`` Gumbel noise from the draws ``[N]`` (Kirsch et al. 2021, beta = 1).

    The first B by it are B items drawn without replacement in proportion to their BALD: a spread-out batch for the
    price of a ranking. The squashing, ``x / (1 + x)`` of ``x = BALD e^g / ln C``, keeps the order.
    """
    gumbel = -np.log(-np.log(draws * (1 - 2.0**-52) + 2.0**-53))  # a draw of 0 or 1 would be infinite
    x = np.maximum(bald(probabilities), np.finfo(np.float64).tiny) / np.log(probabilities.shape[2]) * np.exp(gumbel)
    return np.asarray(x / (1.0 + x))


def epig(probabilities: Probabilities, targets: Probabilities) -> Floats:
    """``mean_m I(y; y_m)`` in nats, in [0, ln C]: how much an item's label would tell about those of target items.

    ``I(y; y_m) = H(y) + H(y_m) - H(y, y_m)``, ``p(y, y_m) = mean_k p_k(y) p_k(y_m)`` (Bickford Smith et al. 2023).
    Unlike BALD it ignores what matters only to items that nobody will ask about. O(N M C² K).

    Args:
        probabilities: ``[N, K, C]``.
        targets: ``[M, K, C]`` from the same K passes: a sample of what the model is for.
    """
    items, passes, classes = probabilities.shape
    t = torch.from_numpy(np.ascontiguousarray(targets, dtype=np.float64))  # [M, K, C]
    expected = float(_entropy(_mean(t)).mean())
    flat = t.permute(1, 0, 2).reshape(passes, -1) / passes  # [K, M C]
    out = np.empty(items, dtype=np.float64)
    step = max(1, 2 * BLOCK_BYTES // max(1, flat[0].nbytes * classes))
    for start in range(0, items, step):
        x = torch.from_numpy(np.ascontiguousarray(probabilities[start : start + step], dtype=np.float64))  # [n, K, C]
        joint = x.transpose(1, 2).reshape(-1, passes) @ flat  # [n C, M C]
        together = _entropy(joint).reshape(len(x), classes).sum(dim=1) / len(t)
        out[start : start + step] = (_entropy(_mean(x)) + expected - together).numpy()
    return np.maximum(out, 0.0)


def check_probabilities(probabilities: Probabilities) -> Probabilities:
    """Return ``probabilities [N, K, C]`` as float32 or float64, or say which row is wrong.

    Raises:
        AcquisitionError: wrong number of axes, no pass, fewer than two classes, a value that is NaN, infinite or
            negative, or a row that does not sum to 1 within 1e-3. The message names the row.
    """
    values = np.asarray(probabilities)
    if values.dtype != np.float32:
        values = values.astype(np.float64, copy=False)
    if values.ndim != 3 or values.shape[1] < 1 or values.shape[2] < 2:
        raise AcquisitionError(
            f"Probabilities must have shape [items, samples >= 1, classes >= 2]; got {values.shape}."
        )
    # A product with ones passes NaN and inf on.
    with np.errstate(invalid="ignore"):
        sums = values.reshape(-1, values.shape[2]) @ np.ones(values.shape[2], values.dtype)
        fits = np.abs(sums - 1.0) <= ROW_SUM_TOLERANCE  # False for NaN
        if fits.all() and (not values.size or values.min() >= 0):
            return values
        wrong = (~fits.reshape(values.shape[:2]) | (values < 0).any(axis=2)).any(axis=1)
    row = int(np.flatnonzero(wrong)[0])
    raise AcquisitionError(
        f"Item {row} has probabilities {values[row].tolist()}: each pass must be finite, not negative and sum "
        f"to 1. {int(wrong.sum())} of {len(values)} items are affected; the model's output is broken."
    )
