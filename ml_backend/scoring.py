"""One model, many items: guesses, confidences and uncertainties. ``/predict`` and the queue both come from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.mixture import needs
from ml_backend.models.base import Model, Progress, no_progress
from ml_backend.ranking import Floats, Ids, uncertainty

BLOCK = 4096
"""Items scored at once: bounds the memory of ``[items, samples, classes]``, whatever the pool."""


@dataclass(frozen=True)
class Scores:
    """Scores of ``N`` items."""

    winner: NDArray[np.int64]
    """Index of the most probable label ``[N]``."""
    confidence: Floats
    """Its probability, mean over the passes ``[N]``."""
    uncertainty: Floats
    """Normalised, in [0, 1], larger = ask sooner ``[N]``; a stand-in where the strategy looks at the whole pool."""
    probabilities: NDArray[np.float32] | None = None
    """``[N, K, C]``, where they were to be kept."""


def score_items(
    model: Model,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    keep: bool = False,
    progress: Progress = no_progress,
) -> Scores:
    """Score items under the settings' strategy; ``keep`` the probabilities of all for one that needs them together.

    The dropout passes of one block share their masks' seed, so that the same call gives the same scores.
    """
    samples = settings.samples if "samples" in needs(settings.strategy) else 1
    winners, confidences, uncertainties, kept = [], [], [], []
    for start in range(0, len(items), BLOCK):
        block = slice(start, start + BLOCK)
        probabilities = model.probabilities(items[block], samples=samples, seed=settings.seed)
        mean = probabilities.mean(axis=1, dtype=np.float64)
        winners.append(mean.argmax(axis=1))
        confidences.append(mean.max(axis=1))
        uncertainties.append(uncertainty(settings.strategy, probabilities, task_ids[block], seed=settings.seed))
        if keep:
            kept.append(probabilities)
        progress(min(start + BLOCK, len(items)), len(items))
    if not winners:
        none = np.zeros((0, samples, len(model.labels)), np.float32) if keep else None
        return Scores(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), none)
    whole = np.concatenate(kept) if keep else None
    return Scores(np.concatenate(winners), np.concatenate(confidences), np.concatenate(uncertainties), whole)
