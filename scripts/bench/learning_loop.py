"""The loop of bench.learning and bench.sets, the same for ours and the peers: fixed features, one final model.

It runs in the peers' environment too: of ours it imports only what needs numpy alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.utils._testing import ignore_warnings

from ml_backend.evaluation.sets import best_thresholds
from ml_backend.files import atomic

MEMBERS = 10
"""Bootstrap replicas that stand in for dropout passes, where a strategy needs passes that differ."""
STRENGTH = 10.0
"""Inverse regularisation of the final model, for rows of length 1."""

Ids = NDArray[np.int64]


class Steps(NamedTuple):
    """How a curve goes on; all its fields are numbers of labels."""

    first: int = 10
    batch: int = 10
    budget: int = 300


class SetModel:
    """A logistic regression for each class; a class that all labels have, or none, keeps that share, once smoothed."""

    def __init__(self, features: NDArray[np.float64], sets: Ids) -> None:
        self.shares = (sets.sum(axis=0) + 0.5) / (len(sets) + 1)
        self.heads = [final_model(features, y) if 0 < y.sum() < len(y) else None for y in sets.T]

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each class by itself ``[N, C]``."""
        each = (
            np.full(len(features), share) if head is None else head.predict_proba(features)[:, 1]
            for head, share in zip(self.heads, self.shares, strict=True)
        )
        return np.stack(list(each), axis=1)


@dataclass(frozen=True)
class State:
    """What a strategy may look at in one round."""

    features: NDArray[np.float64]
    """Of the pool ``[N, D]``."""
    open: Ids
    """Rows that are not labelled ``[U]``."""
    labelled: Ids
    """Rows that are ``[L]``."""
    targets: Ids
    """Their classes ``[L]``, or their sets of classes ``[L, C]``."""
    classes: int
    model: LogisticRegression | SetModel | None
    """Trained on the labelled rows; None before the first labels."""
    probabilities: NDArray[np.float64]
    """Of the open rows ``[U, C]``; uniform before the first labels."""
    passes: Callable[[], NDArray[np.float64]]
    """Of the open rows by each of `MEMBERS` replicas ``[U, K, C]``."""
    validation: tuple[NDArray[np.float64], Ids]
    """Features and classes of further rows, for strategies that learn from the model's mistakes."""
    seed: int
    count: int
    answer: Callable[[int], Any]
    """What people answer to a row of the pool, for those that ask one by one."""


Picker = Callable[[State], NDArray[np.integer]]
"""Positions among ``open`` of the next ``count``."""


def final_model(features: NDArray[np.float64], targets: Ids) -> Any:
    """The model of every curve."""
    if targets.ndim == 2:
        return SetModel(features, targets)
    return LogisticRegression(C=STRENGTH, max_iter=300).fit(features, targets)


def differ(targets: Ids) -> bool:
    """Whether a model can be made of these: sets may be all alike."""
    return len(targets) > 0 if targets.ndim == 2 else len(np.unique(targets)) > 1


def over_classes(
    model: LogisticRegression | SetModel, features: NDArray[np.float64], classes: int
) -> NDArray[np.float64]:
    """Probabilities ``[N, C]``; a class without labels yet has 0."""
    if isinstance(model, SetModel):
        return model.predict_proba(features)
    out = np.zeros((len(features), classes))
    out[:, model.classes_] = model.predict_proba(features)
    return out


def quality(
    model: LogisticRegression | SetModel, test: tuple[NDArray[np.float64], Ids], known: tuple[NDArray[np.float64], Ids]
) -> float:
    """Accuracy on test rows; of sets the mean F-score of the classes, at the thresholds best on validation rows."""
    features, truth = test
    if not isinstance(model, SetModel):
        return float(np.mean(model.predict(features) == truth))
    shown, answers = known
    thresholds = best_thresholds(model.predict_proba(shown), answers)
    said = model.predict_proba(features) >= thresholds
    return float(f1_score(truth, said, average="macro", zero_division=0))


@ignore_warnings(category=ConvergenceWarning)
def accuracies(
    pick: Picker,
    features: NDArray[np.float64],
    targets: Ids,
    pool: Ids,
    test: Ids,
    validation: Ids,
    *,
    warm: bool,
    seed: int,
    steps: Steps,
) -> list[float]:
    """`quality` on the test rows after ``first``, ``first + batch``, ... ``budget`` labels.

    The first labels are random ones, the same for every strategy (``warm``), or the strategy's.
    """
    rng = np.random.default_rng(seed)
    x, y, classes = features[pool], targets[pool], targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    held, tested = (features[validation], targets[validation]), (features[test], targets[test])
    labelled = rng.permutation(len(x))[: steps.first if warm else 0]
    curve = []
    while True:
        some = differ(y[labelled])
        model = final_model(x[labelled], y[labelled]) if some else None
        if len(labelled):
            curve.append(quality(model, tested, held) if model else float(np.mean(y[labelled[0]] == targets[test])))
        if len(labelled) >= steps.budget:
            return curve
        rest = np.setdiff1d(np.arange(len(x)), labelled)
        given = over_classes(model, x[rest], classes) if model else np.full((len(rest), classes), 1 / classes)

        def passes(rest: Ids = rest, labelled: Ids = labelled) -> NDArray[np.float64]:
            members = []
            draws = np.random.default_rng([seed, len(labelled)])
            while len(members) < MEMBERS:
                drawn = draws.choice(labelled, len(labelled))
                if differ(y[drawn]):
                    members.append(over_classes(final_model(x[drawn], y[drawn]), x[rest], classes))
            return np.stack(members, axis=1)

        count = min(steps.batch if len(labelled) else steps.first, steps.budget - len(labelled))
        state = State(x, rest, labelled, y[labelled], classes, model, given, passes, held, seed, count, y.__getitem__)
        labelled = np.concatenate([labelled, rest[np.asarray(pick(state), dtype=np.int64)[:count]]])


def run(arrays: Path, pickers: Mapping[str, Mapping[str, Picker]], result: Path) -> None:
    """Draw the curves of some pickers that are not there yet: ``{data set: {start: {strategy: [[quality]]}}}``.

    Args:
        arrays: ``steps``, and per data set ``features_``, ``targets_``, ``pools_ [S, N]``, ``tests_ [S, M]`` and
            ``validations_``.
        pickers: strategies by start: ``warm`` (random first labels) or ``cold``.
        result: JSON.
    """
    data = np.load(arrays)
    steps = Steps(*data["steps"].tolist())
    names = sorted(key.removeprefix("features_") for key in data.files if key.startswith("features_"))
    found: dict[str, dict[str, dict[str, list[list[float]]]]] = (
        json.loads(result.read_text()) if result.exists() else {}
    )
    for name in names:
        features, targets = data[f"features_{name}"].astype(np.float64), data[f"targets_{name}"]
        for start, own in pickers.items():
            for strategy, pick in own.items():
                if strategy in found.get(name, {}).get(start, {}):
                    continue
                started = time.process_time()
                parts = (data[f"{part}_{name}"] for part in ("pools", "tests", "validations"))
                curves = [
                    accuracies(pick, features, targets, *rows, warm=start == "warm", seed=seed, steps=steps)
                    for seed, rows in enumerate(zip(*parts, strict=True))
                ]
                found.setdefault(name, {}).setdefault(start, {})[strategy] = curves
                atomic.write_json(result, found)
                taken = time.process_time() - started
                print(f"{name} {start} {strategy}: {np.mean(curves):.4f}, {taken:.0f} s CPU", flush=True)
