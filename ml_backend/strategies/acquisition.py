"""Acquisition functions: class probabilities in, utility out. Larger means ask sooner, everywhere.

Axes: ``N`` items, ``K`` stochastic passes (Monte-Carlo dropout), ``M`` target items, ``C`` classes. ``p`` is the mean
over the passes. Every function takes ``probabilities [N, K, C]`` and returns ``float64 [N]``; it computes in the
precision of its input. MC dropout is not a function of its own: predictive entropy over ``K > 1`` passes *is* dropout
entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import log
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.strategies.base import Strategy, needs, probabilities_of

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Probabilities = NDArray[np.floating]
BLOCK_BYTES = 2**20
"""Items are scored in blocks of about this size: every intermediate then stays in a core's cache."""
MOST_COLUMNS = 32
"""Classes up to which a pass over the columns finds the two largest sooner than a sort."""
EPIG_TARGETS = 100
"""Items, drawn from the pool, about whose labels `epig` asks."""
EPIG_CLASSES = 100
"""Most classes that `epig` tells apart: its work and memory grow with their square."""
EPIG_LIKELIEST = 32
"""Of more classes, an item's likeliest ones, and all others as one."""


def _in_blocks(score: Callable[[Tensor], Tensor]) -> Callable[[Probabilities], Floats]:
    """Make a function of ``[n, K, C]`` one of any number of items, at the speed of the cache."""

    @wraps(score)
    @hardware.threads()
    def scored(probabilities: Probabilities) -> Floats:
        import torch

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
    import torch

    # The smallest normal number stands in for 0 under the logarithm: times 0 it is 0, where ln 0 would make it NaN.
    terms = p.clamp_min(torch.finfo(p.dtype).tiny).log_().mul_(p)
    # A product with -1s sums faster than a reduction over a short axis.
    return terms @ torch.full((p.shape[-1],), -1.0, dtype=p.dtype)


def _top_two(p: Tensor) -> tuple[Tensor, Tensor]:
    """The largest and the second largest of each row."""
    import torch

    if p.shape[1] > MOST_COLUMNS:
        first, second = p.topk(2, dim=1).values.unbind(dim=1)
        return first, second
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


LEAST_CONFIDENCE: Final = Strategy(
    "lowest top probability; like entropy where there are two classes",
    "`(1 - p₁) · C/(C-1)`",
    "Lewis & Gale 1994; Monarch 2021, ch. 3",
    "O(N C)",
    needs("probabilities"),
    score=lambda e: least_confidence(probabilities_of(e)),
    itemwise=True,
)


@_in_blocks
def margin(probabilities: Tensor) -> Tensor:
    """``1 - (p_(1) - p_(2))``, the two largest, in [0, 1] (Scheffer, Decomain & Wrobel 2001)."""
    first, second = _top_two(_mean(probabilities))
    return 1.0 - (first - second)


MARGIN: Final = Strategy(
    "smallest gap between the two best classes: sharpens borders, strong with many classes",
    "`1 - (p₁ - p₂)`",
    "Scheffer, Decomain & Wrobel 2001",
    "O(N C)",
    needs("probabilities"),
    score=lambda e: margin(probabilities_of(e)),
    itemwise=True,
    caveat="on AG News titles, models of labels alone, worse than random from 40 to 300 labels",
)


@_in_blocks
def ratio(probabilities: Tensor) -> Tensor:
    """``p_(2) / p_(1)``, the two largest, in [0, 1] (Monarch 2021, ch. 3)."""
    first, second = _top_two(_mean(probabilities))
    return second / first


RATIO: Final = Strategy(
    "the two best classes by their ratio: as margin, but does not care how much is left for the others",
    "`p₂ / p₁`",
    "Monarch 2021, ch. 3",
    "O(N C)",
    needs("probabilities"),
    score=lambda e: ratio(probabilities_of(e)),
    itemwise=True,
)


@_in_blocks
def entropy(probabilities: Tensor) -> Tensor:
    """``H(p) / ln C``, in [0, 1] (Shannon 1948; Settles 2009).

    With ``K > 1`` this is the predictive entropy of Monte-Carlo dropout (Gal, Islam & Ghahramani 2017).
    """
    return _entropy(_mean(probabilities)) / float(np.log(probabilities.shape[2]))


ENTROPY: Final = Strategy(
    "the items the model is least certain about, over all classes; a good default",
    "`H(p) / ln C`, `H(p) = -Σ p ln p`",
    "Shannon 1948; Settles 2009",
    "O(N C)",
    needs("probabilities"),
    score=lambda e: entropy(probabilities_of(e)),
    itemwise=True,
    caveat="on AG News titles, models of labels alone, worse than random from 40 to 300 labels",
)

DROPOUT_ENTROPY: Final = Strategy(
    "as `entropy`, averaged over passes with dropout on (MC dropout): steadier with few labels",
    "`H(mean p) / ln C`",
    "Gal & Ghahramani 2016",
    "O(N K C)",
    needs("probabilities", "samples"),
    score=lambda e: entropy(probabilities_of(e)),
    itemwise=True,
    caveat="on digits with a linear model worse than random from 100 to 300 labels",
)


@_in_blocks
def bald(probabilities: Tensor) -> Tensor:
    """``H(mean_k p_k) - mean_k H(p_k)`` in nats, in [0, ln C] (Houlsby et al. 2011; Gal et al. 2017).

    The mutual information between the label and the weights: high where the passes are sure but disagree.
    """
    gain = _entropy(_mean(probabilities)) - _entropy(probabilities).mean(dim=1)
    return gain.clamp_min_(0.0)  # rounding can give -1e-17


BALD: Final = Strategy(
    "items on which the passes are sure but disagree; ignores plain noise",
    "`H(mean p) - mean H(p)`, over `ln C`",
    "Houlsby et al. 2011; Gal, Islam & Ghahramani 2017",
    "O(N K C)",
    needs("probabilities", "samples"),
    score=lambda e: bald(probabilities_of(e)) / log(e.classes),
    itemwise=True,
    caveat="the best items alone are often alike; for long queues take `batch_bald` or `power_bald`; "
    "on digits with a linear model worse than random from 10 to 100 labels, "
    "and on titles",
)


@_in_blocks
def variation_ratio(probabilities: Tensor) -> Tensor:
    """``1 - max_c share_c``, ``share_c`` the passes whose most probable class is ``c``, in [0, 1 - 1/C].

    Freeman 1965; Gal, Islam & Ghahramani 2017. A pass in which classes tie gives each an equal part of its vote.
    """
    votes = (probabilities == probabilities.amax(dim=2, keepdim=True)).to(probabilities.dtype)
    shares = (votes / votes.sum(dim=2, keepdim=True)).mean(dim=1)
    return 1.0 - shares.amax(dim=1)


VARIATION_RATIO: Final = Strategy(
    "passes that vote for different classes; coarse, robust to badly calibrated probabilities",
    "`1 - largest share of the passes' votes`, over its most, `1 - 1/C`",
    "Freeman 1965; Gal, Islam & Ghahramani 2017",
    "O(N K C)",
    needs("probabilities", "samples"),
    score=lambda e: variation_ratio(probabilities_of(e)) * e.classes / (e.classes - 1),
    itemwise=True,
    caveat="K passes give at most K different scores: many ties, broken at random",
)


def power_bald(probabilities: Probabilities, draws: Floats) -> Floats:
    """``ln BALD + g`` squashed into [0, 1), ``g`` Gumbel noise from the draws ``[N]`` (Kirsch et al. 2021, beta = 1).

    The first B by it are B items drawn without replacement in proportion to their BALD: a spread-out batch for the
    price of a ranking. The squashing, ``x / (1 + x)`` of ``x = BALD e^g / ln C``, keeps the order.
    """
    gumbel = -np.log(-np.log(draws * (1 - 2.0**-52) + 2.0**-53))  # a draw of 0 or 1 would be infinite
    x = np.maximum(bald(probabilities), np.finfo(np.float64).tiny) / np.log(probabilities.shape[2]) * np.exp(gumbel)
    return np.asarray(x / (1.0 + x))


POWER_BALD: Final = Strategy(
    "BALD with noise: spread-out batches of any length for the price of a ranking",
    "`ln BALD + Gumbel`, squashed",
    "Kirsch et al. 2021",
    "O(N K C)",
    needs("probabilities", "samples"),
    score=lambda e: power_bald(probabilities_of(e), e.noise),
    itemwise=True,
)


@hardware.threads()
def epig(probabilities: Probabilities, targets: Probabilities) -> Floats:
    """``mean_m I(y; y_m)`` in nats, in [0, ln C]: how much an item's label would tell about those of target items.

    ``I(y; y_m) = H(y) + H(y_m) - H(y, y_m)``, ``p(y, y_m) = mean_k p_k(y) p_k(y_m)`` (Bickford Smith et al. 2023).
    Unlike BALD it ignores what matters only to items that nobody will ask about. O(N M C² K).

    Of more than `EPIG_CLASSES` classes each item's `EPIG_LIKELIEST` are told apart and the others are one: what is left
    out can only lower the information (data processing inequality).

    Args:
        probabilities: ``[N, K, C]``.
        targets: ``[M, K, C]`` from the same K passes: a sample of what the model is for.
    """
    import torch

    if probabilities.shape[2] > EPIG_CLASSES:
        probabilities, targets = _likeliest(probabilities), _likeliest(targets)
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


def _likeliest(probabilities: Probabilities) -> Probabilities:
    """Each item's likeliest classes, over the passes, and the sum of the others: ``[N, K, EPIG_LIKELIEST]``."""
    count = EPIG_LIKELIEST - 1
    best = np.argpartition(-probabilities.mean(axis=1), count, axis=1)[:, :count]
    picked = np.take_along_axis(probabilities, best[:, None, :], axis=2)
    return np.concatenate([picked, np.maximum(1.0 - picked.sum(axis=2, keepdims=True), 0.0)], axis=2)


EPIG: Final = Strategy(
    "items whose label would tell most about the labels of others: for pools with much that does not matter",
    "`mean_m [H(p) + H(p_m) - H(p, p_m)]` over 100 drawn items m, over `ln C`",
    "Bickford Smith et al. 2023",
    "O(100 N C² K), C ≤ 100: of more classes the 31 likeliest and the rest",
    needs("probabilities", "samples"),
    score=lambda e: epig(probabilities_of(e), probabilities_of(e)[:EPIG_TARGETS]) / log(e.classes),
    caveat="slow above some 50 classes; on digits with a linear model worse than random from 10 to 100 labels",
)
