"""What a model answers to the evaluation tasks, and how good that is: single labels and sets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.evaluation.intervals import intervals
from ml_backend.evaluation.metrics import evaluate
from ml_backend.evaluation.sets import answered_across, evaluate_sets, thresholds_near
from ml_backend.models.base import LabeledItems, Model
from ml_backend.models.several import are_sets, takes_sets, usual_thresholds

Targets = NDArray[np.int64]


def choose_thresholds(model: Model, evaluation: LabeledItems) -> None:
    """Give a model of sets the thresholds that suit the evaluation answers, and the pool where these are few."""
    if takes_sets(model) and len(evaluation.items):
        probabilities = model.probabilities(evaluation.items)[:, 0]
        vars(model)["thresholds"] = thresholds_near(usual_thresholds(model), probabilities, evaluation.targets)


def answered(model: Model, probabilities: NDArray[np.floating], targets: Targets, *, seed: int) -> Targets:
    """What a model answers at these ``probabilities [E, C]``: classes ``[E]``, or sets ``[E, C]``.

    Sets by thresholds that were chosen without the task itself: those that are served know its answer.
    """
    if are_sets(targets):
        return answered_across(probabilities, targets, usual_thresholds(model), seed=seed)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def measured(
    probabilities: NDArray[np.floating], targets: Targets, answers: Targets, labels: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Fields of `metrics.Metrics`, with their ``intervals``."""
    if are_sets(targets):
        found = asdict(evaluate_sets(probabilities, targets, labels, answers))
        return found | {"intervals": intervals(probabilities, targets, None, seed=seed, answers=answers)}
    found = asdict(evaluate(probabilities, targets, labels))
    positive = found["positive"] and labels.index(found["positive"])
    return found | {"intervals": intervals(probabilities, targets, positive, seed=seed)}
