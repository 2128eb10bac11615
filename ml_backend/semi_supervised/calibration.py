"""Temperatures: a model made to say as often as it is right, on labels it was not trained on where there are any."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import LabeledItems, Model
from ml_backend.models.several import are_sets, class_counts
from ml_backend.models.temperature import best_factor, best_factor_of_sets, log_odds
from ml_backend.semi_supervised.fitter import PoolFitter
from ml_backend.semi_supervised.graph import Floats

FOLDS: Final = 3
FOLD_STEPS: Final = 200
"""Of a training on all folds but one."""


def calibrate(model: Model, known: LabeledItems) -> float:
    """Set the model's temperature to what makes the known labels most likely; the temperature."""
    factor = factor_for(model.probabilities(known.items)[:, 0], known.targets)
    model.sharpen(factor)
    return 1.0 / factor


def factor_for(probabilities: Floats, targets: NDArray[np.int64]) -> float:
    """What to multiply logits by, so that ``probabilities [V, C]`` make the targets most likely."""
    if are_sets(targets):
        return best_factor_of_sets(log_odds(probabilities), targets)[0]
    return best_factor(log_probabilities(probabilities), targets)[0]


def calibrate_across(trainer: PoolFitter, model: Model, known: LabeledItems, penalty: float | None) -> None:
    """The same without other labels than those it was trained on: by what short trainings say of labels left out.

    They have the model's ``penalty``: another would give logits of another size.

    Only for a classifier over a fixed encoder, which is trained in a moment, and with `FOLDS` labels of each class or
    more. Its weights are kept small, so that it is right far more often than it says. After scikit-learn's
    ``CalibratedClassifierCV(ensemble=False)``.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    sets = are_sets(known.targets)
    counts = class_counts(known.targets, len(model.labels))
    if model.learns_features or not counts.any() or counts[counts > 0].min() < FOLDS:
        return
    if penalty is not None:
        trainer = trainer.penalised(penalty)
    found = np.empty((len(known.items), len(trainer.make().labels)), np.float32)
    parts = (KFold if sets else StratifiedKFold)(FOLDS, shuffle=True, random_state=trainer.seed)
    for train, test in parts.split(found, None if sets else known.targets):
        fold, _ = trainer.fit([known.items[i] for i in train], known.targets[train], FOLD_STEPS)
        found[test] = fold.probabilities([known.items[i] for i in test])[:, 0]
    model.sharpen(factor_for(found, known.targets))


def log_probabilities(probabilities: Floats) -> Floats:
    """Of each class ``[N, C]``; none is minus infinity."""
    return np.asarray(np.log(np.maximum(probabilities, 1e-12)), dtype=np.float32)
