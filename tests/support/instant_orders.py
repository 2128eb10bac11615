"""Orders in which answers move tasks, and small graphs to know from what they move."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import CONTROL, PINNED, Prediction
from ml_backend.selection.ordering import queue_scores
from ml_backend.semi_supervised.graph import Neighbourhood, affinity, coordinates, nearest

QUESTION = ChoiceQuestion("choice", "item", "Text", "text", ("a", "b"), ("of the first kind", "of the second"))
NAME = "cnn-0001-0123abcd.auto-0001"
KINDS = ("auto", "auto", CONTROL, "auto", PINNED, "auto", "auto", CONTROL, "auto", "auto")
TASKS = tuple(range(101, 101 + len(KINDS)))


def rows(kinds=KINDS, first=101):
    scores = queue_scores(1 - np.arange(len(kinds)) / len(kinds))
    return tuple(
        Prediction(first + i, "a", 0.6, float(score), kind)
        for i, (kind, score) in enumerate(zip(kinds, scores, strict=True))
    )


def order_of(scores):
    return sorted(scores, key=scores.__getitem__)


EVERY_GAIN = 1.0
"""However little a swap brings, it is made."""


def groups(size=30, seed=0):
    """Two groups on a line, and what lies between them."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(0, 1, (size, 2)), rng.normal(6, 1, (size, 2)), rng.normal(3, 0.7, (size, 2))])
    return points.astype(np.float32), np.array([0] * size + [1] * size + [0] * size)


def graph_of(points, labelled=(0, 30), targets=(0, 1)):
    weights = affinity(nearest([points], points, 6))
    rest = np.setdiff1d(np.arange(len(points)), labelled)
    found = Neighbourhood(
        weights, partial(coordinates, weights), rest, np.array(labelled), np.array(targets, np.int64), np.full(2, 0.5)
    )
    return found, rest + 1000


def auto_queue(tasks, count=20):
    return rows(("auto",) * count, first=0)[:0] + tuple(
        replace(row, task_id=int(task)) for row, task in zip(rows(("auto",) * count), tasks[-count:], strict=True)
    )
