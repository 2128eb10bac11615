"""Learning curves of one project and what they say: labels saved against random, forecast, when to stop.

Axes: ``E`` evaluation tasks, ``M`` models. Everything is computed from which evaluation tasks a model has right, so
that the noise of a finite evaluation set is carried through to every interval, paired over models that share the set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.evaluation.intervals import LEVEL, RESAMPLES, Interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_MODELS: Final = 4
"""Models, of two numbers of labels, through which a curve is drawn."""
STABLE_KAPPA: Final = 0.99
"""Agreement of successive models above which predictions have stopped changing (Bloodgood & Vijay-Shanker 2009)."""
STABLE_ROUNDS: Final = 3
FLATTEST: Final = 0.05
"""Smallest exponent of a learning curve: a flatter one would need numbers of labels beyond any pool."""

STEEPEST: Final = 1.0
"""Largest exponent that a forecast goes by."""


@dataclass(frozen=True)
class Judged:
    """One model that was trained on ``labels`` labels, and the evaluation tasks that it has right ``[E]``."""

    labels: int
    right: Flags

    @property
    def error(self) -> float:
        """Share of the evaluation tasks that it has wrong."""
        return float(1.0 - self.right.mean())


@dataclass(frozen=True)
class Saved:
    """Labels that the active order saved against random labels."""

    labels: int
    """Labels that the model in use was trained on."""
    random_labels: Interval
    """Random labels that would have given the same accuracy."""
    at_least: bool
    """The upper end is the size of the pool: more random labels than there are tasks."""

    @property
    def saved(self) -> Interval:
        """Labels saved; negative where random labels would have done better."""
        r = self.random_labels
        return Interval(r.value - self.labels, r.low - self.labels, r.high - self.labels)


def suffices(curve: Sequence[Judged]) -> bool:
    """Whether a curve can be drawn through these models."""
    return len(curve) >= FEWEST_MODELS and len({model.labels for model in curve}) > 1


def power_law(labels: Floats, errors: Floats, tasks: int, *, flattest: float = FLATTEST) -> tuple[float, float]:
    """``(a, b)`` of ``error = a labels^-b``, by weighted least squares of the logarithms.

    The weights are the inverse variances of ``ln error`` by the delta method, ``E e / (1 - e)``, for errors ``e [M]``
    measured on ``E`` tasks; an error of 0 counts as half a task. Learning curves of classifiers follow a power law
    until they flatten (Cortes et al. 1994; Figueroa et al. 2012, https://doi.org/10.1186/1472-6947-12-8).

    Raises:
        ValueError: fewer than two different numbers of labels.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("A learning curve needs models of at least two different numbers of labels.")
    e = np.clip(errors, 0.5 / tasks, 1 - 0.5 / tasks)
    slope, intercept = np.polyfit(np.log(labels), np.log(e), 1, w=np.sqrt(tasks * e / (1 - e)))
    return float(np.exp(intercept)), max(float(-slope), flattest)


def labels_saved(
    random: Sequence[Judged], active: Judged, *, pool: int, generator: np.random.Generator
) -> Saved | None:
    """How many random labels would give the accuracy that the active order gave.

    A power law through the models of random labels, solved for the error of the model in use. The interval is the
    percentile bootstrap over the evaluation tasks (the same draw for all models) and over the random models. Real
    curves flatten beyond a power law, which flatters random labels: an extrapolated figure is rather too low.

    Args:
        random: models of random labels, judged on the same ``E`` tasks.
        active: the model in use.
        pool: labels that there are to give at most; nothing beyond is claimed.
        generator: of the resamples.

    Returns:
        None with too few random models to draw a curve through, see `suffices`.
    """
    if not suffices(random):
        return None
    sizes = np.array([model.labels for model in random], dtype=np.float64)
    right = np.stack([model.right for model in random])  # [M, E]
    tasks = right.shape[1]

    def needed(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
        a, b = power_law(sizes[rows], 1.0 - right[np.ix_(rows, columns)].mean(axis=1), tasks)
        error = max(1.0 - float(active.right[columns].mean()), 0.5 / tasks)
        return min(math.exp(min(math.log(a / error) / b, 50.0)), float(pool))

    found = _bootstrap(needed, sizes, tasks, generator)
    return Saved(active.labels, found, found.high >= pool)


def forecast(curve: Sequence[Judged], now: Judged, *, labels: int, generator: np.random.Generator) -> Interval | None:
    """Accuracy that the model would likely have with ``labels`` labels, were the past to go on.

    ``error(labels) = e (n / labels)^b``: from the error ``e`` that the newest model has with its ``n`` labels, by the
    exponent of a power law through the models so far, from 0 (they do not get better) to 1. A first steep fall (each
    label brings another class) does not go on; exponents of long curves lie below 1 (Hestness et al. 2017,
    https://arxiv.org/abs/1712.00409).
    Bootstrap over evaluation tasks and models.

    Args:
        curve: models that learnt in the same way, judged on the same ``E`` tasks.
        now: the newest of them.
        labels: at least as many as it has.
        generator: of the resamples.

    Returns:
        None with too few models to draw a curve through, see `suffices`.
    """
    if not suffices(curve):
        return None
    sizes = np.array([model.labels for model in curve], dtype=np.float64)
    right = np.stack([model.right for model in curve])
    tasks = right.shape[1]

    def expected(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
        _, b = power_law(sizes[rows], 1.0 - right[np.ix_(rows, columns)].mean(axis=1), tasks, flattest=0.0)
        error = max(1.0 - float(now.right[columns].mean()), 0.5 / tasks)
        return float(1.0 - error * math.pow(now.labels / labels, min(b, STEEPEST)))

    return _bootstrap(expected, sizes, tasks, generator)


def _bootstrap(
    statistic: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    sizes: Floats,
    tasks: int,
    generator: np.random.Generator,
) -> Interval:
    """A statistic of models and evaluation tasks, given by their positions, with its percentile interval.

    Both are drawn with replacement, models again until they are of two sizes (Efron & Tibshirani 1993, ch. 13).
    """
    draws: list[float] = []
    while len(draws) < RESAMPLES:
        rows = generator.integers(0, len(sizes), len(sizes))
        if len(np.unique(sizes[rows])) > 1:
            draws.append(statistic(rows, generator.integers(0, tasks, tasks)))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(statistic(np.arange(len(sizes)), np.arange(tasks)), float(low), float(high))


def agreement(before: NDArray[np.integer], after: NDArray[np.integer]) -> float:
    """Cohen's kappa of two models' predictions for the same tasks ``[E]``; 1 where both give one class only."""
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique(np.concatenate([before, after]))) < 2:
        return 1.0
    return float(cohen_kappa_score(before, after))


def has_settled(agreements: Sequence[float]) -> bool:
    """Whether predictions have stopped changing: mean agreement of the last three rounds above 0.99.

    Stabilizing predictions, Bloodgood & Vijay-Shanker 2009, https://aclanthology.org/W09-1107.
    """
    last = agreements[-STABLE_ROUNDS:]
    return len(last) == STABLE_ROUNDS and sum(last) / STABLE_ROUNDS > STABLE_KAPPA
