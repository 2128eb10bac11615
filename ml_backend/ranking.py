"""From scores to an order, and from an order to the scores that Label Studio sorts by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.acquisition import check_probabilities, get_acquisition
from ml_backend.errors import AcquisitionError

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

RANK_SHARE = 1e-6
"""Share of a served score that encodes the rank, so that equal uncertainties still have one order everywhere."""


def draws_for(task_ids: Ids, seed: int) -> Floats:
    """One uniform draw in [0, 1) per task, a function of the seed and the task's id alone ``[N]``.

    SplitMix64 (Steele, Lea & Flood 2014) of id and seed. Keyed draws, instead of a generator's stream, make the
    random order and the ties independent of how tasks are batched: `/predict` on one task and a sync of the
    whole pool agree.
    """
    with np.errstate(over="ignore"):
        z = np.asarray(task_ids, dtype=np.int64).astype(np.uint64) + np.uint64(1)
        z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uncertainty(strategy: str, probabilities: NDArray[np.floating], task_ids: Ids, *, seed: int) -> Floats:
    """Normalised informativeness in [0, 1] under a strategy, larger = ask sooner ``[N]``.

    Args:
        strategy: a name in ``ACQUISITIONS``.
        probabilities: ``[N, K, C]``.
        task_ids: ``[N]``.
        seed: fixes the random strategy.

    Raises:
        AcquisitionError: an unknown strategy, malformed probabilities, or a strategy that needs dropout passes
            given only one.
    """
    acquisition = get_acquisition(strategy)
    values = check_probabilities(probabilities)
    if acquisition.stochastic and len(values) and values.shape[1] < 2:
        raise AcquisitionError(f"Strategy {strategy!r} compares dropout passes: ask for at least 2 samples.")
    scores = acquisition.score(values, draws_for(task_ids, seed)) / acquisition.maximum(values.shape[2])
    return np.clip(scores, 0.0, 1.0)


def rank(scores: Floats, task_ids: Ids, *, seed: int, count: int | None = None) -> Ids:
    """Positions of the ``count`` largest scores, largest first; ties in an order drawn from the seed.

    Neither the position in the array nor the id decides a tie: both correlate with how the data was collected.
    """
    scores = np.asarray(scores, dtype=np.float64)
    candidates: Ids = np.arange(len(scores), dtype=np.int64)
    if count is not None and count < len(scores):
        # Keep everything that ties with the last place, so that the draw decides there too.
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count] if count else np.inf
        candidates = np.flatnonzero(scores >= threshold).astype(np.int64)
    order = np.lexsort((draws_for(np.asarray(task_ids)[candidates], seed + 1), -scores[candidates]))
    ranked: Ids = candidates[order][:count]
    return ranked


def served_score(normalised: Floats, ranks: NDArray[np.floating] | float = 0.0) -> Floats:
    """Label Studio score ``[N]`` in [0, 1] of normalised uncertainties; Label Studio serves the lowest first.

    ``(1 - e) (1 - u) + e r`` with ``e = RANK_SHARE`` and ``r`` in [0, 1) the place in the queue. This is the one
    place where the sign is flipped; ``/predict`` and the published queue both call it. A queue's scores rise
    strictly, so that Label Studio's order has no ties.
    """
    return np.asarray((1.0 - RANK_SHARE) * (1.0 - np.asarray(normalised, dtype=np.float64)) + RANK_SHARE * ranks)


def queue_scores(normalised: Floats) -> Floats:
    """Served scores of a queue given its normalised uncertainties in queue order ``[K]``, strictly rising.

    Where a strategy orders items other than by falling uncertainty, each is given at most its predecessor's.
    """
    falling = np.minimum.accumulate(np.asarray(normalised, dtype=np.float64))
    return served_score(falling, np.arange(len(falling)) / max(len(falling), 1))
