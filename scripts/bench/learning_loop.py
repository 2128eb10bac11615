"""The loop of bench_learning.py, the same for ours and the peers: fixed features, one final model, B labels a round.

Of ours it imports `ml_backend.files` alone, which needs no package: it runs in the peers' environment too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils._testing import ignore_warnings

from ml_backend.files import atomic

FIRST, BATCH, BUDGET = 10, 10, 300
MEMBERS = 10
"""Bootstrap replicas that stand in for dropout passes, where a strategy needs passes that differ."""
STRENGTH = 10.0
"""Inverse regularisation of the final model, for rows of length 1."""

Ids = NDArray[np.int64]


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
    """Their classes ``[L]``."""
    classes: int
    model: LogisticRegression | None
    """Trained on the labelled rows; None before the first labels."""
    probabilities: NDArray[np.float64]
    """Of the open rows ``[U, C]``; uniform before the first labels."""
    passes: Callable[[], NDArray[np.float64]]
    """Of the open rows by each of `MEMBERS` replicas ``[U, K, C]``."""
    validation: tuple[NDArray[np.float64], Ids]
    """Features and classes of further rows, for strategies that learn from the model's mistakes."""
    seed: int
    count: int


Picker = Callable[[State], NDArray[np.integer]]
"""Positions among ``open`` of the next ``count``."""


def final_model(features: NDArray[np.float64], targets: Ids) -> LogisticRegression:
    """The model of every curve."""
    return LogisticRegression(C=STRENGTH, max_iter=300).fit(features, targets)


def over_classes(model: LogisticRegression, features: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Probabilities ``[N, C]``; a class without labels yet has 0."""
    out = np.zeros((len(features), classes))
    out[:, model.classes_] = model.predict_proba(features)
    return out


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
) -> list[float]:
    """Accuracy on the test rows after ``FIRST``, ``FIRST + BATCH``, ... ``BUDGET`` labels.

    The first labels are random ones, the same for every strategy (``warm``), or the strategy's.
    """
    rng = np.random.default_rng(seed)
    x, y, classes = features[pool], targets[pool], int(targets.max()) + 1
    labelled = rng.permutation(len(x))[: FIRST if warm else 0]
    curve = []
    while True:
        some = len(np.unique(y[labelled])) > 1
        model = final_model(x[labelled], y[labelled]) if some else None
        if len(labelled):
            right = model.predict(features[test]) if model else y[labelled[0]]
            curve.append(float(np.mean(right == targets[test])))
        if len(labelled) >= BUDGET:
            return curve
        rest = np.setdiff1d(np.arange(len(x)), labelled)
        given = over_classes(model, x[rest], classes) if model else np.full((len(rest), classes), 1 / classes)

        def passes(rest: Ids = rest, labelled: Ids = labelled) -> NDArray[np.float64]:
            members = []
            draws = np.random.default_rng([seed, len(labelled)])
            while len(members) < MEMBERS:
                drawn = draws.choice(labelled, len(labelled))
                if len(np.unique(y[drawn])) > 1:
                    members.append(over_classes(final_model(x[drawn], y[drawn]), x[rest], classes))
            return np.stack(members, axis=1)

        held = features[validation], targets[validation]
        state = State(x, rest, labelled, y[labelled], classes, model, given, passes, held, seed, BATCH)
        labelled = np.concatenate([labelled, rest[np.asarray(pick(state), dtype=np.int64)[:BATCH]]])


def run(arrays: Path, pickers: Mapping[str, Mapping[str, Picker]], result: Path) -> None:
    """Draw the curves of some pickers that are not there yet: ``{data set: {start: {strategy: [[accuracy]]}}}``.

    Args:
        arrays: per data set ``features_``, ``targets_``, ``pools_ [S, N]``, ``tests_ [S, M]`` and ``validations_``.
        pickers: strategies by start: ``warm`` (random first labels) or ``cold``.
        result: JSON.
    """
    data = np.load(arrays)
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
                    accuracies(pick, features, targets, *rows, warm=start == "warm", seed=seed)
                    for seed, rows in enumerate(zip(*parts, strict=True))
                ]
                found.setdefault(name, {}).setdefault(start, {})[strategy] = curves
                atomic.write_json(result, found)
                taken = time.process_time() - started
                print(f"{name} {start} {strategy}: {np.mean(curves):.4f}, {taken:.0f} s CPU", flush=True)
