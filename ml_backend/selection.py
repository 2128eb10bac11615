"""Which items next, in which order, and what put each one there. The loop and the simulation both ask here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.acquisition import get_acquisition
from ml_backend.config import ProjectSettings
from ml_backend.control import CONTROL, control_order, control_places
from ml_backend.models.base import Model, Progress, no_progress
from ml_backend.ranking import Floats, Ids, rank, uncertainty
from ml_backend.scoring import Scores, score_items

COLD_START = "random"
"""Strategy before a first model."""


@dataclass(frozen=True)
class Selection:
    """The next ``B`` of ``N`` items, first asked first."""

    order: NDArray[np.int64]
    """Positions among the items ``[B]``."""
    picked_by: tuple[str, ...]
    """The strategy that chose each, or ``control`` ``[B]``."""
    informativeness: Floats
    """Normalised, in [0, 1] ``[B]``; a control task has that of the pick before it, to keep its place."""
    scores: Scores | None
    """Of all ``N`` items; None without a model."""


def select(
    model: Model | None,
    items: Sequence[Any],
    task_ids: Ids,
    settings: ProjectSettings,
    *,
    count: int,
    turn: int = 0,
    progress: Progress = no_progress,
) -> Selection:
    """Choose what to ask next.

    Args:
        model: scores the items; without one the order is random.
        items: ``[N]``, as the model reads them.
        task_ids: ``[N]``; draws and ties depend on them and the seed, never on positions.
        settings: strategy, samples, seed, control share.
        count: how many to choose; all where there are fewer.
        turn: a number that changes with the labels, such as that of the open items: it moves the control tasks' places.
        progress: called while items are scored.
    """
    scores = None if model is None else score_items(model, items, task_ids, settings, progress=progress)
    strategy = COLD_START if model is None else settings.strategy
    if scores is None:
        # The random score needs no model: uniform probabilities stand in for it.
        uniform = np.full((len(items), 1, 2), 0.5)
        informative = uncertainty(strategy, uniform, task_ids, seed=settings.seed)
    else:
        informative = scores.uncertainty
    length = min(count, len(items))
    places = control_places(length, settings.control_share, settings.seed, turn)
    control = control_order(task_ids, settings.seed, len(places))
    others = np.setdiff1d(np.arange(len(items)), control)
    chosen = others[rank(informative[others], task_ids[others], seed=settings.seed, count=length - len(control))]
    return _interleave(strategy, chosen, informative[chosen], control, places, scores)


def first_candidates(task_ids: Ids, settings: ProjectSettings, *, trained: bool, count: int) -> NDArray[np.int64]:
    """Positions that ``select`` can choose ``count`` from, so that a random order need not read the whole pool.

    Twice as many as asked for, because some may turn out to be unreadable.
    """
    if trained and get_acquisition(settings.strategy).needs_model:
        return np.arange(len(task_ids))
    scores = uncertainty(COLD_START, np.full((len(task_ids), 1, 2), 0.5), task_ids, seed=settings.seed)
    chosen = rank(scores, task_ids, seed=settings.seed, count=2 * count)
    control = control_order(task_ids, settings.seed, int(2 * count * settings.control_share) + 2)
    return np.union1d(chosen, control)


def _interleave(
    strategy: str,
    chosen: NDArray[np.int64],
    informativeness: Floats,
    control: NDArray[np.int64],
    places: NDArray[np.int64],
    scores: Scores | None,
) -> Selection:
    length = len(chosen) + len(control)
    is_control = np.zeros(length, dtype=np.bool_)
    is_control[places] = True
    order = np.empty(length, dtype=np.int64)
    order[is_control], order[~is_control] = control, chosen
    if len(chosen):
        before = np.maximum(np.cumsum(~is_control) - 1, 0)
        informativeness = informativeness[before]
    else:
        informativeness = np.ones(length)
    return Selection(order, tuple(CONTROL if flag else strategy for flag in is_control), informativeness, scores)
