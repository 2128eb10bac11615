"""One model, many items: guesses, confidences and uncertainties. ``/predict`` and the queue both come from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.label_sets import pack
from ml_backend.models.base import Model
from ml_backend.models.several import HALF, answers_of, takes_sets
from ml_backend.records import Progress, no_progress
from ml_backend.selection.ordering import Floats, rank, uncertainty
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.rivals import percent

BLOCK_NUMBERS = 4096 * 20 * 100
"""Most probabilities ``[items, samples, classes]`` computed at once: with more passes or classes, of fewer items."""


@dataclass(frozen=True)
class MemoryLimits:
    """How much scoring holds in memory."""

    block: int = 4096
    """Most items scored at once."""
    kept_numbers: int = 2**27
    """Most probabilities kept together: 512 MiB. With 20 passes this is enough for a pool of 670,000 items of 10
    classes, or of 6,700 items of 1,000 classes."""


USUAL_LIMITS = MemoryLimits()


@dataclass(frozen=True)
class Scores:
    """Scores of ``N`` items."""

    winner: NDArray[np.int64]
    """Index of the most probable label ``[N]``."""
    confidence: Floats
    """Its probability, mean over the passes ``[N]``. Of sets that of the whole set, its classes independent."""
    second: NDArray[np.int64]
    """Index of the label after it ``[N]``; with one label that label. Of sets the label most in doubt."""
    second_confidence: Floats
    """Its probability ``[N]``."""
    uncertainty: Floats
    """Normalised, in [0, 1], larger = ask sooner ``[N]``; a stand-in where the strategy looks at the whole pool."""
    probabilities: NDArray[np.float32] | None = None
    """``[M, K, C]`` of the ``kept`` items, where they were to be kept."""
    kept: NDArray[np.int64] | None = None
    """Rows of these items, rising ``[M]``: all, or of a pool too large for memory the most uncertain."""
    sets: NDArray[np.bool_] | None = None
    """Which classes each item has, by the model's thresholds ``[N, C]``; None where answers are single labels."""

    def guess(self, row: int, labels: Sequence[str]) -> str:
        """What the model says of an item: a label, or the text for a set (`label_sets`)."""
        if self.sets is None:
            return labels[int(self.winner[row])]
        return pack([labels[c] for c in np.flatnonzero(self.sets[row])], labels)

    def wavers(self, row: int) -> str:
        """Between which labels the model wavers at an item; ``{3}`` stands for the name of class 3."""
        first, second = self.winner[row], self.second[row]
        if self.sets is not None:
            return f"most in doubt: {{{second}}}, {percent(self.second_confidence[row])} by the model"
        return (
            f"{{{first}}} ({self.confidence[row]:.0%}) or {{{second}}} ({self.second_confidence[row]:.0%}) by the model"
        )


def score_items(
    model: Model,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    keep: bool = False,
    progress: Progress = no_progress,
    limits: MemoryLimits = USUAL_LIMITS,
) -> Scores:
    """Score items under the settings' strategy; ``keep`` the probabilities of all for one that needs them together.

    The dropout passes of one block share their masks' seed, so that the same call gives the same scores. Memory is
    bounded by ``limits``: of a pool with more probabilities than may be kept, those of the most uncertain items are
    kept, by the strategy's own score or its stand-in.
    """
    samples = settings.samples if "samples" in needs(settings.strategy) else 1
    block = max(1, min(limits.block, BLOCK_NUMBERS // (samples * len(model.labels))))
    several = takes_sets(model)
    about = {"several": several, "over_classes": settings.set_uncertainty}
    best: list[tuple[NDArray[np.int64], Floats, NDArray[np.int64], Floats]] = []
    sets: list[NDArray[np.bool_]] = []
    uncertainties = []
    shortlist = _Shortlist(limits.kept_numbers // (samples * len(model.labels)), block, settings.seed)
    for start in range(0, len(items), block):
        rows = slice(start, start + block)
        probabilities = model.probabilities(items[rows], samples=samples, seed=settings.seed)
        mean = probabilities.mean(axis=1, dtype=np.float64)
        if several:
            sets.append(answers_of(model, mean) > 0)
        best.append(_set_and_doubt(mean, sets[-1]) if several else _best_two(mean))
        uncertainties.append(uncertainty(settings.strategy, probabilities, task_ids[rows], seed=settings.seed, **about))
        if keep:
            shortlist.add(np.arange(start, start + len(mean)), probabilities, uncertainties[-1], task_ids[rows])
        progress(min(start + block, len(items)), len(items))
    if not best:
        best, uncertainties = [_best_two(np.zeros((0, len(model.labels))))], [np.zeros(0)]
    winners, confidences, seconds, runner_ups = (np.concatenate([part[i] for part in best]) for i in range(4))
    scores = Scores(winners, confidences, seconds, runner_ups, np.concatenate(uncertainties))
    if several:
        scores = replace(scores, sets=np.concatenate([np.zeros((0, len(model.labels)), np.bool_), *sets]))
    if not keep:
        return scores
    kept, listed = shortlist.finish((0, samples, len(model.labels)))
    return replace(scores, probabilities=listed, kept=kept)


def _best_two(mean: Floats) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], Floats]:
    """The most probable label of each row ``[N, C]`` and its probability, and the second's."""
    rows = np.arange(len(mean))
    first = mean.argmax(axis=1)
    others = mean.copy()
    others[rows, first] = -1.0
    second = others.argmax(axis=1) if mean.shape[1] > 1 else first
    return first, mean[rows, first], second, mean[rows, second]


def _set_and_doubt(
    mean: Floats, sets: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], Floats]:
    """The likeliest label of each row ``[N, C]``, its set's probability, and the label most in doubt with its own."""
    rows, doubt = np.arange(len(mean)), np.abs(mean - HALF).argmin(axis=1)
    return mean.argmax(axis=1), np.where(sets, mean, 1 - mean).prod(axis=1), doubt, mean[rows, doubt]


class _Shortlist:
    """The probabilities of the most uncertain items so far: at most a quarter and a block more than ``most``."""

    def __init__(self, most: int, block: int, seed: int) -> None:
        self._most, self._block, self._seed = max(1, most), block, seed
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float32], Floats, Ids]] = []

    def add(self, positions: NDArray[np.int64], rows: NDArray[np.float32], values: Floats, task_ids: Ids) -> None:
        """Take in a block; the least uncertain are dropped now and then, not at every block: it copies the rest."""
        self._parts.append((positions, rows, values, task_ids))
        if sum(len(part[0]) for part in self._parts) > 1.25 * self._most + self._block:
            self._compact()

    def finish(self, nothing: tuple[int, int, int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions, rising, and their rows."""
        if not self._parts:
            return np.zeros(0, np.int64), np.zeros(nothing, np.float32)
        self._compact()
        return self._parts[0][:2]

    def _compact(self) -> None:
        positions, values, task_ids = (np.concatenate([part[i] for part in self._parts]) for i in (0, 2, 3))
        best: NDArray[np.int64] = np.arange(len(positions))
        if len(positions) > self._most:
            best = np.sort(rank(values, task_ids, seed=self._seed, count=self._most))
        rows = np.empty((len(best), *self._parts[0][1].shape[1:]), np.float32)
        start = taken = 0
        while self._parts:  # one after the other is let go: all of them and their copy together would be twice as much
            part = self._parts.pop(0)[1]
            end = taken + int(np.searchsorted(best[taken:], start + len(part)))
            rows[taken:end] = part[best[taken:end] - start]
            start, taken = start + len(part), end
        self._parts = [(positions[best], rows, values[best], task_ids[best])]
