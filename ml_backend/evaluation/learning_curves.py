"""What the curves of a simulation say: labels needed, labels saved, area under the curve, with intervals over seeds.

A curve is ``labels [R]``, rising, and ``values [R]``: one measurement after each of ``R`` rounds. Two strategies with
the same seed share test items and first labels, so they are compared seed by seed (paired).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import DataError
from ml_backend.evaluation.intervals import LEVEL

Floats = NDArray[np.float64]

RESAMPLES = 10_000


@dataclass(frozen=True)
class Curve:
    """One run, or the mean of several: ``values [R]`` measured at ``labels [R]``."""

    labels: Floats
    values: Floats

    def __post_init__(self) -> None:
        if self.labels.shape != self.values.shape or self.labels.ndim != 1 or not len(self.labels):
            raise DataError(f"A curve needs one value per label count: {self.labels.shape}, {self.values.shape}")
        if (np.diff(self.labels) <= 0).any():
            raise DataError("The label counts of a curve must rise")


@dataclass(frozen=True)
class SeedInterval:
    """A mean and where it may lie; ``low`` and ``high`` are None with fewer than two seeds."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Saving:
    """Labels that one strategy saves against another on the way to a target, paired over seeds."""

    seeds: int
    labels: SeedInterval
    unreached: int
    """Seeds in which the strategy itself does not hold the target: the saving is then overstated."""
    at_least: bool
    """Whether the other one does not hold the target in some seed: the saving is then understated."""


def held_from(curve: Curve, target: float) -> float | None:
    """The fewest labels from which the curve never falls below ``target`` again; None where it ends below.

    Stricter than the first crossing, which a lucky round can make: the last measurement has to be above as well.
    """
    below = np.flatnonzero(curve.values < target)
    start = int(below[-1]) + 1 if len(below) else 0
    return float(curve.labels[start]) if start < len(curve.labels) else None


def first_above(curve: Curve, target: float) -> float | None:
    """The fewest labels at which the curve is at ``target`` or above; None where it never is."""
    above = np.flatnonzero(curve.values >= target)
    return float(curve.labels[above[0]]) if len(above) else None


def mean_curve(curves: Mapping[int, Curve]) -> Curve:
    """Mean over seeds at the label counts that all of them have.

    Raises:
        DataError: no curves, or no label count in common.
    """
    if not curves:
        raise DataError("There are no curves to average")
    shared = shared_labels(list(curves.values()))
    return Curve(shared, np.mean([_at(curve, shared) for curve in curves.values()], axis=0))


def shared_labels(curves: list[Curve]) -> Floats:
    """Label counts at which every curve was measured, rising."""
    shared = curves[0].labels
    for curve in curves[1:]:
        shared = np.intersect1d(shared, curve.labels)
    return np.asarray(shared, dtype=np.float64)


def band(curves: Mapping[int, Curve]) -> tuple[Floats, Floats, Floats]:
    """Label counts, and the lowest and highest value of any seed there, each ``[R]``."""
    shared = shared_labels(list(curves.values()))
    values = np.array([_at(curve, shared) for curve in curves.values()])
    return shared, values.min(axis=0), values.max(axis=0)


def area(curve: Curve, low: float | None = None, high: float | None = None) -> float:
    """``1 / (high - low) · ∫ value d labels`` by trapezoids: the mean value between two label counts.

    Ends that lie between two rounds are interpolated. Without ends, those of the curve.

    Raises:
        DataError: the curve does not cover the range, or the range is empty.
    """
    first, last = float(curve.labels[0]), float(curve.labels[-1])
    low, high = first if low is None else low, last if high is None else high
    if not first <= low < high <= last:
        raise DataError(f"The curve runs from {first:g} to {last:g} labels, not from {low:g} to {high:g}")
    inside = (curve.labels > low) & (curve.labels < high)
    x = np.concatenate([[low], curve.labels[inside], [high]])
    return float(np.trapezoid(np.interp(x, curve.labels, curve.values), x) / (high - low))


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float], *, seed: int = 0) -> SeedInterval:
    """Mean of ``ours - theirs`` over the seeds that both have, with a percentile bootstrap interval.

    Seeds are drawn with replacement (Efron & Tibshirani 1993, ch. 13). With five seeds the interval is somewhat too
    narrow; more seeds are the remedy.

    Raises:
        DataError: no seed in common.
    """
    shared = sorted(set(ours) & set(theirs))
    if not shared:
        raise DataError("The two strategies have no seed in common; run both with the same seeds")
    differences = np.array([ours[s] - theirs[s] for s in shared])
    mean = float(differences.mean())
    if len(shared) < 2:
        return SeedInterval(mean)
    drawn = np.random.default_rng(seed).integers(len(shared), size=(RESAMPLES, len(shared)))
    low, high = np.quantile(differences[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return SeedInterval(mean, float(low), float(high))


def saving(ours: Mapping[int, Curve], theirs: Mapping[int, Curve], target: float) -> Saving:
    """Labels saved until ``target`` is held: ``theirs - ours``, seed by seed.

    A run that never holds the target counts as if it did one label after its last: ``unreached`` and ``at_least``
    say so.

    Raises:
        DataError: no seed in common.
    """
    shared = sorted(set(ours) & set(theirs))
    needed = {s: (held_from(ours[s], target), held_from(theirs[s], target)) for s in shared}
    interval = paired_difference(
        {s: _or_end(needed[s][1], theirs[s]) for s in shared}, {s: _or_end(needed[s][0], ours[s]) for s in shared}
    )
    unreached = sum(mine is None for mine, _ in needed.values())
    return Saving(len(shared), interval, unreached, any(other is None for _, other in needed.values()))


def _or_end(labels: float | None, curve: Curve) -> float:
    return float(curve.labels[-1]) + 1 if labels is None else labels


def _at(curve: Curve, labels: Floats) -> Floats:
    return curve.values[np.searchsorted(curve.labels, labels)]
