"""Keyed random draws: functions of a seed and a task's id, so that no draw depends on how tasks are batched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


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
