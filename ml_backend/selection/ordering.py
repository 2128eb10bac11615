"""Scores of single items: by which they are ranked, and by which Label Studio sorts them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids, draws_for
from ml_backend.errors import AcquisitionError
from ml_backend.strategies import mixture
from ml_backend.strategies.checks import check_probabilities
from ml_backend.strategies.inputs import MISSING, StrategyInputs
from ml_backend.strategies.registry import STRATEGIES
from ml_backend.strategies.several import scored

Floats = NDArray[np.float64]

STAND_IN: Final = "entropy"
"""Scores a single task where its strategy looks at the whole pool."""
TIE_STREAM: Final = 1
NOISE_STREAM: Final = 4
"""Added to the seed, so that ties, the noise of randomised scores and the random strategy draw independently."""

RANK_SHARE = 1e-6
"""Share of a served score that encodes the rank, so that equal uncertainties still have one order everywhere."""


def inputs_of(task_ids: Ids, seed: int, **known: Any) -> StrategyInputs:
    """What is ``known`` of the items (fields of `StrategyInputs`), with their draws.

    Raises:
        AcquisitionError: malformed probabilities; the message names the item.
    """
    if known.get("probabilities") is not None:
        known["probabilities"] = check_probabilities(known["probabilities"], several=bool(known.get("several")))
        known["classes"] = known["probabilities"].shape[2]
    ids = np.asarray(task_ids, dtype=np.int64)
    return StrategyInputs(ids, draws_for(ids, seed), draws_for(ids, seed + NOISE_STREAM), seed, **known)


def uncertainty(strategy: str, probabilities: NDArray[np.floating], task_ids: Ids, *, seed: int, **sets: Any) -> Floats:
    """Normalised utility in [0, 1] of tasks one by one, larger = ask sooner ``[N]``.

    A strategy that looks at the whole pool, or a mixture, cannot tell it of a single task: `STAND_IN` does instead.

    Args:
        strategy: a name in ``STRATEGIES``, or a mixture.
        probabilities: ``[N, K, C]``.
        task_ids: ``[N]``.
        seed: fixes the random strategy.
        sets: ``several`` and ``over_classes`` of `StrategyInputs`, where answers are sets.

    Raises:
        AcquisitionError: an unknown strategy, malformed probabilities, or a strategy that needs dropout passes
            given only one.
    """
    name = strategy if mixture.itemwise(strategy) else STAND_IN
    inputs = inputs_of(task_ids, seed, probabilities=probabilities, **sets)
    if "samples" in STRATEGIES[name].needs and len(inputs) and probabilities.shape[1] < 2:
        raise AcquisitionError(f"Strategy {strategy!r} needs {MISSING['samples']}.")
    return np.clip(scored(STRATEGIES[name], inputs), 0.0, 1.0)


def rank(scores: NDArray[np.floating], task_ids: Ids, *, seed: int, count: int | None = None) -> Ids:
    """Positions of the ``count`` largest scores, largest first; ties in an order drawn from the seed.

    Neither the position in the array nor the id decides a tie: both correlate with how the data was collected.
    """
    scores = np.asarray(scores, dtype=np.float64)
    candidates: Ids = np.arange(len(scores), dtype=np.int64)
    if count is not None and count < len(scores):
        # Keep everything that ties with the last place, so that the draw decides there too.
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count] if count else np.inf
        candidates = np.flatnonzero(scores >= threshold).astype(np.int64)
    order = np.lexsort((draws_for(np.asarray(task_ids)[candidates], seed + TIE_STREAM), -scores[candidates]))
    ranked: Ids = candidates[order][:count]
    return ranked


def served_score(normalised: Floats, ranks: NDArray[np.floating] | float = 0.0) -> Floats:
    """Label Studio score ``[N]`` in [0, 1] of normalised uncertainties; Label Studio serves the lowest first.

    ``(1 - e) (1 - u) + e r`` with ``e = RANK_SHARE`` and ``r`` in [0, 1) the place in the queue. This is the one
    place where the sign is flipped; ``/predict`` and the published queue both call it. A queue's scores rise
    strictly, so that Label Studio's order has no ties.
    """
    return np.asarray((1.0 - RANK_SHARE) * (1.0 - np.asarray(normalised, dtype=np.float64)) + RANK_SHARE * ranks)


def after_queue(served: Floats, last: float) -> Floats:
    """Served scores moved behind a queue that ends with ``last``, in their order: ``last + (1 - last) s`` ``[N]``.

    For tasks scored one by one where the queue's strategy looks at the whole pool: `STAND_IN` has another measure.
    """
    return np.asarray(last + (1.0 - last) * np.asarray(served, dtype=np.float64))


def queue_scores(normalised: Floats) -> Floats:
    """Served scores of a queue given its normalised uncertainties in queue order ``[K]``, strictly rising.

    Where a strategy orders items other than by falling uncertainty, each is given at most its predecessor's.
    """
    falling = np.minimum.accumulate(np.asarray(normalised, dtype=np.float64))
    # From 1: there is room before the first, for a task that is moved there.
    return served_score(falling, np.arange(1, len(falling) + 1) / (len(falling) + 1))
