"""What a version gets wrong if answers are sets of labels: whole sets, and each class by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.label_sets import SEPARATOR, shown
from ml_backend.store.evaluation_predictions import EvaluationPredictions


def set_mistakes(
    judged: EvaluationPredictions, labels: tuple[str, ...], target: str, guess: str
) -> list[dict[str, Any]]:
    """Tasks whose set is wrong, the most confident answer first.

    ``target`` and ``guess`` keep only tasks where people's set, or the version's, contains a label.
    """
    p, given, said = judged.probabilities, judged.targets, judged.guesses
    confidence, likely = (np.where(sets > 0, p, 1 - p).prod(axis=1) for sets in (said, given))
    wrong = np.flatnonzero(~judged.right)
    rows = []
    for position in wrong[np.argsort(-confidence[wrong], kind="stable")].tolist():
        people, model = (_labels(sets[position], labels) for sets in (given, said))
        if (target and target not in people) or (guess and guess not in model):
            continue
        rows.append(
            {
                "task": int(judged.task_ids[position]),
                "target": shown(SEPARATOR.join(people)),
                "guess": shown(SEPARATOR.join(model)),
                "confidence": float(confidence[position]),
                "target_probability": float(likely[position]),
            }
        )
    return rows


def by_class(judged: EvaluationPredictions, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """For each class: how many of people's sets have it, how many the version ``missed``, and how many it ``added``."""
    given, said = judged.targets > 0, judged.guesses > 0
    counts = zip(given.sum(axis=0), (given & ~said).sum(axis=0), (said & ~given).sum(axis=0), strict=True)
    rows = [
        {"label": label, "given": int(has), "missed": int(missed), "added": int(added)}
        for label, (has, missed, added) in zip(labels, counts, strict=True)
    ]
    return sorted(rows, key=lambda row: -(row["missed"] + row["added"]))


def _labels(row: NDArray[np.int64], labels: tuple[str, ...]) -> list[str]:
    return [labels[c] for c in np.flatnonzero(row)]
