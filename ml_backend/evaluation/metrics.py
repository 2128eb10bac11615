"""How good a model's probabilities are on held-out items. ``N`` items, ``C`` classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError

CALIBRATION_BINS = 15
"""As in Guo et al. 2017."""

ROW_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ClassCount:
    """One class: how many items have it, how many were given it, and how many of those rightly."""

    label: str
    targets: int
    predicted: int
    correct: int


@dataclass(frozen=True)
class Metrics:
    """One evaluation; JSON-able with ``dataclasses.asdict``."""

    n: int
    accuracy: float
    f_macro: float
    """Mean F-score of the classes that occur among targets or predictions."""
    positive: str | None
    """The class that ``f_positive`` is about: the named one, or the rarer of two; else None."""
    f_positive: float | None
    auc: float | None
    """Area under the ROC curve; of several classes, the mean of each against the rest. None with one class present."""
    nll: float
    """Mean of ``-ln p(target)``, in nats."""
    ece: float
    """Expected calibration error, in [0, 1]."""
    classes: tuple[ClassCount, ...]
    f_micro: float | None = None
    """F-score of all decisions together, where answers are sets (`sets`); else it is the accuracy."""


def evaluate(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.integer],
    labels: Sequence[str],
    positive: str | None = None,
) -> Metrics:
    """Judge ``probabilities [N, C]`` against ``targets [N]``, indices into ``labels``.

    ``positive`` names the class of interest; without it, the rarer of two classes is taken (the second label if both
    are equally common), and none of three or more.

    Raises:
        AcquisitionError: no items, shapes that do not fit, a target outside the labels, an unknown ``positive``, or a
            row that is no distribution (the message names it).
    """
    from sklearn.metrics import f1_score

    p = check_distributions(probabilities, len(labels))
    y = np.asarray(targets)
    if len(p) == 0:
        raise AcquisitionError("No items to evaluate on; label at least one held-out task")
    if y.shape != (len(p),):
        raise AcquisitionError(f"{len(p)} rows of probabilities but targets of shape {y.shape}")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= len(labels):
        raise AcquisitionError(f"Targets must be whole numbers from 0 to {len(labels) - 1}, indices into the labels")
    if positive is not None and positive not in labels:
        raise AcquisitionError(f"No label is called {positive!r}; the labels are {', '.join(labels)}")
    predicted = p.argmax(axis=1)
    index = _positive_index(y, labels, positive)
    return Metrics(
        n=len(y),
        accuracy=float(np.mean(predicted == y)),
        f_macro=float(f1_score(y, predicted, average="macro", zero_division=0)),
        positive=None if index is None else labels[index],
        f_positive=None if index is None else float(f1_score(y == index, predicted == index, zero_division=0)),
        auc=_auc(p, y),
        nll=negative_log_likelihood(p, y),
        ece=expected_calibration_error(p, y),
        classes=tuple(_count(label, y == i, predicted == i) for i, label in enumerate(labels)),
    )


def check_distributions(probabilities: NDArray[np.floating], classes: int) -> NDArray[np.float64]:
    """``probabilities [N, C]`` as float64.

    Raises:
        AcquisitionError: another shape, or a row with a NaN, a negative value or a sum other than 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != classes:
        raise AcquisitionError(f"Probabilities must have the shape [items, {classes}], not {list(p.shape)}")
    # NaN compares as false, so a row with one is never good.
    good = np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= ROW_SUM_TOLERANCE)
    if not good.all():
        row = int(np.argmin(good))
        raise AcquisitionError(f"Row {row} is no probability distribution: {p[row].tolist()}, sum {p[row].sum()}")
    return p


def negative_log_likelihood(p: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """``-1/N · Σ ln p[i, target_i]`` of ``p [N, C]``, in nats."""
    hits = p[np.arange(len(p)), targets]
    # A float32 softmax can round to 0; its smallest normal number keeps one such item from making the mean infinite.
    return float(-np.log(np.maximum(hits, np.finfo(np.float32).tiny)).mean())


def expected_calibration_error(p: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """``Σ_b |B_b| / N · |accuracy(B_b) - confidence(B_b)|`` over 15 bins of equal width, ``B_b = ((b-1)/15, b/15]``.

    Confidence is the largest probability of a row of ``p [N, C]``.
    Source: Guo, Pleiss, Sun & Weinberger 2017, https://arxiv.org/abs/1706.04599.
    """
    confidence = p.max(axis=1)
    right = (p.argmax(axis=1) == targets).astype(np.float64)
    # 0.2 * 15 is a little above 3 in binary; it belongs to the third bin.
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS - 1e-9).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    # |B| · |accuracy - confidence| is the size of the sum of differences in the bin.
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(p))


def _positive_index(y: NDArray[np.integer], labels: Sequence[str], positive: str | None) -> int | None:
    if positive is not None:
        return list(labels).index(positive)
    if len(labels) != 2:
        return None
    return 1 if 2 * np.count_nonzero(y == 1) <= len(y) else 0


def _auc(p: NDArray[np.float64], y: NDArray[np.integer]) -> float | None:
    """Mean over the classes present of the class-against-rest AUC; of two classes both are equal."""
    from sklearn.metrics import roc_auc_score

    present = np.unique(y)
    if len(present) < 2:
        return None
    return float(np.mean([roc_auc_score(y == c, p[:, c]) for c in present]))


def _count(label: str, is_target: NDArray[np.bool_], is_predicted: NDArray[np.bool_]) -> ClassCount:
    both = np.count_nonzero(is_target & is_predicted)
    return ClassCount(label, int(is_target.sum()), int(is_predicted.sum()), int(both))
