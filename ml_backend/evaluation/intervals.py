"""How far a measure may be off for the evaluation tasks being few: Wilson's interval of accuracy, bootstraps of others.

Axes: ``N`` evaluation tasks, ``C`` classes, ``R`` resamples. A resample is a row of weights: how often each task was
drawn. So nothing is sorted or counted again for it, and all of them are a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL: Final = 0.95
"""Coverage of all intervals."""
RESAMPLES: Final = 400
AT_ONCE: Final = 2_000_000
"""Weights that are in memory at once."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """A proportion with its Wilson score interval (Wilson 1927).

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(LEVEL, method="wilson")
    return Interval(successes / trials, float(found.low), float(found.high))


def intervals(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.integer],
    positive: int | None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    answers: NDArray[np.integer] | None = None,
) -> dict[str, tuple[float, float]]:
    """95 % intervals of ``f_macro``, ``f_positive`` and ``auc`` as `metrics.evaluate` has them.

    Of sets, given their ``answers``, those of ``f_macro``, ``f_micro`` and ``auc`` as `sets.evaluate_sets` has them.

    Percentile bootstrap over the tasks (Efron & Tibshirani 1993, ch. 13), drawn with replacement. A measure that all
    resamples agree on has no interval: where nothing is wrong, the bootstrap knows no spread.

    Args:
        probabilities: ``[N, C]``.
        targets: ``[N]``, indices of classes; or sets ``[N, C]``.
        positive: the class that ``f_positive`` is about; None of three or more.
        seed: of the draws.
        resamples: ``R``.
        answers: sets that the model gives ``[N, C]``.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    classes = np.arange(p.shape[1])
    has = y.astype(float) if y.ndim == 2 else (y[:, None] == classes).astype(float)
    given = (p.argmax(axis=1)[:, None] == classes).astype(float) if answers is None else answers.astype(float)
    generator, draws = np.random.default_rng(seed), list[dict[str, Floats]]()
    part = max(1, AT_ONCE // len(y))
    for start in range(0, resamples, part):
        chosen = generator.integers(0, len(y), (min(part, resamples - start), len(y)))
        weights = np.stack([np.bincount(row, minlength=len(y)) for row in chosen]).astype(np.float64)  # [R, N]
        scores = _f_scores(has, given, positive, weights, micro=answers is not None)
        draws.append(scores | {"auc": _auc(p, has, weights)})
    found = {}
    for name in draws[0]:
        values = np.concatenate([draw[name] for draw in draws])
        values = values[np.isfinite(values)]
        if len(values) and np.ptp(values) > 0:
            low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found[name] = float(low), float(high)
    return found


def _f_scores(
    targets: Floats, guesses: Floats, positive: int | None, weights: Floats, *, micro: bool
) -> dict[str, Floats]:
    """F-scores ``[R]``, ``2 TP / (2 TP + FP + FN)``; the mean is over the classes that occur in a resample."""
    both = weights @ (targets * guesses)  # [R, C]
    either = weights @ (targets + guesses)
    scores = np.divide(2 * both, either, out=np.zeros_like(both), where=either > 0)
    found = {"f_macro": scores.sum(axis=1) / np.maximum((either > 0).sum(axis=1), 1)}
    if micro:
        found["f_micro"] = 2 * both.sum(axis=1) / np.maximum(either.sum(axis=1), 1)
    return found if positive is None else found | {"f_positive": scores[:, positive]}


def _auc(p: Floats, has: Floats, weights: Floats) -> Floats:
    """Mean over the classes present of the class-against-rest AUC ``[R]``; NaN with one class present.

    AUC is the chance that an item of the class gets a higher probability than one of the rest; ties count half.
    """
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for c in np.flatnonzero(has.any(axis=0)):
        order = np.argsort(p[:, c], kind="stable")
        values = p[order, c]
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])  # of tied probabilities
        own = np.add.reduceat(weights[:, order] * has[order, c], starts, axis=1)
        rest = np.add.reduceat(weights[:, order] * (1 - has[order, c]), starts, axis=1)
        wins = (own * (np.cumsum(rest, axis=1) - rest / 2)).sum(axis=1)
        pairs = own.sum(axis=1) * rest.sum(axis=1)
        total += np.divide(wins, pairs, out=np.zeros_like(wins), where=pairs > 0)
        present += pairs > 0
    return np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)
