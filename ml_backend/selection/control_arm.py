"""The random control arm: a share of every queue that no model chose, to measure everything else against.

Uncertain tasks are the hard ones, so what people answer there says nothing about the pool. Control tasks are drawn
uniformly from the open tasks, by a draw that depends on the seed and the task's id alone: the order in which they come
does not know the model, and a task that is not answered in one queue is a control task of the next one too.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ml_backend.draws import Ids, draws_for

ORDER_STREAM: Final = 2
PHASE_STREAM: Final = 3
"""Added to the seed, so that the control order, its places, the random strategy and the ties draw independently."""


def control_order(task_ids: Ids, seed: int, count: int) -> Ids:
    """Ids ``[count]`` of the first control tasks, in control order.

    A prefix of one fixed permutation: with more tasks labelled, it moves on and never reshuffles.
    """
    draws = draws_for(task_ids, seed + ORDER_STREAM)
    first: Ids = np.asarray(task_ids, dtype=np.int64)[np.argsort(draws, kind="stable")[:count]]
    return first


def control_places(length: int, share: float, seed: int, turn: int) -> Ids:
    """Places of the control tasks in a queue, rising; about ``share * length`` of them.

    ``floor((j + phase) / share)``, ``j = 0, 1, ...``, with a phase in [0, 1) drawn anew for every ``turn``, a number
    that changes with the labels. People answer only the head of a queue before the next one replaces it; with a random
    phase each place is a control task with probability ``share``: their share of the answers is right for any head.
    """
    if share <= 0 or length < 1:
        return np.zeros(0, dtype=np.int64)
    phase = float(draws_for(np.array([turn], dtype=np.int64), seed + PHASE_STREAM)[0])
    places = np.floor((np.arange(int(length * share) + 1) + phase) / share).astype(np.int64)
    inside: Ids = places[places < length]
    return inside
