"""How doubtful a prediction is, by the scores of its regions; larger = ask sooner.

Axes: ``N`` predictions; ``R`` regions of one, each with a score ``s`` in [0, 1] and ``C`` labels to choose from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Doubt = Literal["lowest", "mean", "highest", "entropy", "count"]
Missing = Literal["first", "last", "chance"]
MARGIN: Final = 1e-6
"""Between tasks without a prediction and all others, where they come first or last."""


@dataclass(frozen=True)
class Scored:
    """What doubt is made of."""

    scores: tuple[float, ...]
    """Of the regions that have a usable one ``[R]``."""
    classes: tuple[int, ...]
    """How many labels each of them could have had ``[R]``."""
    regions: int
    """All regions, also those without a score."""
    overall: float | None = None
    """The whole prediction's score, where it is usable: it stands in for regions that have none."""


def lowest(scores: Floats, classes: Floats) -> float:  # noqa: ARG001
    """``1 - min s`` (least confidence, Culotta & McCallum 2005): the weakest region decides."""
    return float(1 - scores.min())


def mean(scores: Floats, classes: Floats) -> float:  # noqa: ARG001
    """``1 - mean s`` (Brust et al. 2019, "average")."""
    return float(1 - scores.mean())


def highest(scores: Floats, classes: Floats) -> float:  # noqa: ARG001
    """``1 - max s``: a task of which nothing is sure."""
    return float(1 - scores.max())


def entropy(scores: Floats, classes: Floats) -> float:
    """Mean over regions of ``[-s ln s - (1 - s) ln((1 - s) / (C - 1))] / ln C`` (Shannon 1948).

    The entropy of the least certain distribution that has this score, over C labels; of one label ``C`` is 2: there, or
    not. A score below 1 / C, which the best of C labels cannot have, counts as 1 / C.
    """
    c = np.maximum(classes, 2)
    s = np.clip(scores, 1 / c, 1)
    rest = 1 - s
    inside = -s * np.log(s) - np.where(rest > 0, rest * np.log(np.where(rest > 0, rest, 1) / (c - 1)), 0)
    return float(np.clip((inside / np.log(c)).mean(), 0, 1))


BY_SCORES: Final[Mapping[str, Callable[[Floats, Floats], float]]] = {
    "lowest": lowest,
    "mean": mean,
    "highest": highest,
    "entropy": entropy,
}
"""Measure of doubt → function of scores ``[R]`` and numbers of labels ``[R]``."""


def doubts(predicted: Sequence[Scored | None], measure: Doubt) -> Floats:
    """Doubt in [0, 1] of each prediction ``[N]``; NaN where there is none, or nothing to tell it by.

    ``count`` is ``|R - mean R| / max |R - mean R|``: how far the number of regions is from the usual one.
    """
    if measure == "count":
        return _by_count(predicted)
    function = BY_SCORES[measure]
    return np.array([np.nan if each is None else _of(each, function) for each in predicted], dtype=np.float64)


def _of(prediction: Scored, function: Callable[[Floats, Floats], float]) -> float:
    if prediction.scores:
        return function(np.array(prediction.scores), np.array(prediction.classes, dtype=np.float64))
    if prediction.overall is not None:
        return function(np.array([prediction.overall]), np.array([2.0]))
    return float("nan")


def _by_count(predicted: Sequence[Scored | None]) -> Floats:
    counts = np.array([np.nan if each is None else each.regions for each in predicted], dtype=np.float64)
    known = counts[np.isfinite(counts)]
    if not len(known):
        return counts
    away = np.abs(counts - known.mean())
    most = np.nanmax(away)
    return np.asarray(away / most if most > 0 else away, dtype=np.float64)


def placed(found: Floats, missing: Missing, draws: Floats) -> Floats:
    """Doubts with those that are not known filled in ``[N]``: before all others, behind them, or by chance among them.

    Args:
        found: of `doubts`.
        missing: where tasks without a known doubt go.
        draws: a uniform draw in [0, 1) per task ``[N]``.
    """
    unknown = np.isnan(found)
    if missing == "first":
        return np.asarray(np.where(unknown, 1.0, found * (1 - MARGIN)))
    if missing == "last":
        return np.asarray(np.where(unknown, 0.0, MARGIN + found * (1 - MARGIN)))
    known = np.sort(found[~unknown])
    if not len(known):
        return draws
    drawn = known[np.minimum((draws * len(known)).astype(np.int64), len(known) - 1)]
    return np.asarray(np.where(unknown, drawn, found))
