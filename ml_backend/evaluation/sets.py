"""Answers that are sets of classes: from which probability a class is in the set, and how good the sets are.

Axes: ``N`` evaluation items, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.evaluation.metrics import ClassCount, Metrics, expected_calibration_error
from ml_backend.models.temperature import log_odds

Floats = NDArray[np.float64]
Sets = NDArray[np.integer]
HALF: Final = 0.5
"""Threshold of a class about which too little is known."""
FEWEST: Final = 5
"""Evaluation items with a class, and without it, below which its threshold is `HALF`."""
USUAL_COUNTS: Final = 20
"""Items with a class that its usual threshold counts as."""
FOLDS: Final = 5
FOLD_STREAM: Final = 31


def best_thresholds(probabilities: NDArray[np.floating], sets: Sets) -> Floats:
    """For each class the probability from which it is taken to be in a set, so that its F-score is best ``[C]``.

    ``F = 2 TP / (2 TP + FP + FN)`` of the items at or above it. Thresholds lie half-way between two probabilities; of
    equally good ones the nearest to one half is taken. A class with fewer than `FEWEST` items on one side keeps `HALF`.
    Lipton, Elkan & Naryanaswamy 2014, https://arxiv.org/abs/1402.1892: the best one is half the best F-score where
    probabilities are right, hence rarely above one half.

    Args:
        probabilities: ``[N, C]``.
        sets: what people answered ``[N, C]``.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(sets) > 0
    enough = _rarer(y) >= FEWEST
    return np.array([_best(p[:, c], y[:, c]) if enough[c] else HALF for c in range(p.shape[1])])


def thresholds_near(usual: Floats, probabilities: NDArray[np.floating], sets: Sets) -> Floats:
    """The best thresholds by these items, drawn to those that are usual otherwise, the more the fewer they are ``[C]``.

    ``logit t = (m logit best + USUAL_COUNTS logit usual) / (m + USUAL_COUNTS)``, ``m`` the items with the class, or
    without it, whichever are fewer: the best one by a few items is far off as often as not.

    Args:
        usual: such as those that the pool makes expect ``[C]``.
        probabilities: ``[N, C]``.
        sets: what people answered ``[N, C]``.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(sets) > 0
    fewer = _rarer(y)
    best = np.array([_best(p[:, c], y[:, c]) if fewer[c] else usual[c] for c in range(p.shape[1])])
    odds = (fewer * log_odds(best) + USUAL_COUNTS * log_odds(usual)) / (fewer + USUAL_COUNTS)
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)))


def _rarer(sets: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Items with each class, or without it, whichever are fewer ``[C]``."""
    counts = sets.sum(axis=0, dtype=np.int64)
    return np.asarray(np.minimum(counts, len(sets) - counts))


def _best(p: Floats, y: NDArray[np.bool_]) -> float:
    order = np.argsort(-p, kind="stable")
    values, hits = p[order], np.cumsum(y[order])
    last = np.flatnonzero(np.r_[values[1:] != values[:-1], True])  # items at or above each different probability
    scores = 2.0 * hits[last] / (last + 1 + y.sum())
    below = np.r_[values[last[:-1] + 1], 0.0]
    thresholds = (values[last] + below) / 2
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - HALF))]])


def answered_across(
    probabilities: NDArray[np.floating], sets: Sets, usual: Floats | None = None, *, seed: int = 0
) -> NDArray[np.int64]:
    """What thresholds answer that were chosen without the item itself ``[N, C]``, in `FOLDS` folds.

    Thresholds that are measured on the items that they were chosen by look better than they are. They are
    `thresholds_near` the ``usual`` ones; without these the `best_thresholds`.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(sets)
    fold = np.random.default_rng([seed, FOLD_STREAM]).permutation(len(p)) % FOLDS
    answers = np.zeros(p.shape, np.int64)
    for number in range(FOLDS):
        asked = fold == number
        others = p[~asked], y[~asked]
        answers[asked] = p[asked] >= (best_thresholds(*others) if usual is None else thresholds_near(usual, *others))
    return answers


def evaluate_sets(
    probabilities: NDArray[np.floating], sets: Sets, labels: Sequence[str], answers: Sets | None = None
) -> Metrics:
    """Judge ``probabilities [N, C]``, and ``answers [N, C]`` (by default those from one half on), against ``sets``.

    ``accuracy`` is that of whole sets; ``f_macro`` the mean over the classes that occur among sets or answers,
    ``f_micro`` the F-score of all classes' decisions together; ``nll`` that of a set, its classes independent; ``ece``
    of all decisions of yes and no.

    Raises:
        AcquisitionError: no items, shapes that do not fit, or a probability that is none.
    """
    p, y = check_set_probabilities(probabilities, len(labels)), np.asarray(sets)
    if len(p) == 0:
        raise AcquisitionError("No items to evaluate on; label at least one held-out task")
    if y.shape != p.shape or not np.isin(y, (0, 1)).all():
        raise AcquisitionError(f"Probabilities of shape {p.shape} but sets of shape {y.shape}; give 0 or 1 to each")
    guessed = np.asarray(p >= HALF if answers is None else answers, dtype=np.int64)
    both, either = (y * guessed).sum(axis=0), (y + guessed).sum(axis=0)
    hit = np.where(y > 0, p, 1 - p)
    decisions = p.reshape(-1)
    return Metrics(
        n=len(y),
        accuracy=float((guessed == y).all(axis=1).mean()),
        f_macro=float(np.mean(2 * both[either > 0] / either[either > 0])) if either.any() else 0.0,
        positive=None,
        f_positive=None,
        auc=_auc(p, y),
        nll=float(-np.log(np.maximum(hit, np.finfo(np.float32).tiny)).sum(axis=1).mean()),
        ece=expected_calibration_error(np.stack([1 - decisions, decisions], axis=1), y.reshape(-1)),
        classes=tuple(
            ClassCount(label, int(y[:, c].sum()), int(guessed[:, c].sum()), int(both[c]))
            for c, label in enumerate(labels)
        ),
        f_micro=float(2 * both.sum() / either.sum()) if either.any() else 0.0,
    )


def check_set_probabilities(probabilities: NDArray[np.floating], classes: int) -> Floats:
    """``probabilities [N, C]``, each by itself, as float64.

    Raises:
        AcquisitionError: another shape, or a value that is not between 0 and 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != classes:
        raise AcquisitionError(f"Probabilities must have the shape [items, {classes}], not {list(p.shape)}")
    good = ((p >= 0) & (p <= 1)).all(axis=1)  # False for NaN
    if not good.all():
        row = int(np.argmin(good))
        raise AcquisitionError(f"Row {row} holds what is no probability: {p[row].tolist()}")
    return p


def _auc(p: Floats, y: Sets) -> float | None:
    """Mean AUC of the classes that some items have and some have not; None where there is none."""
    from sklearn.metrics import roc_auc_score

    told = [c for c in range(y.shape[1]) if 0 < y[:, c].sum() < len(y)]
    return float(np.mean([roc_auc_score(y[:, c], p[:, c]) for c in told])) if told else None
