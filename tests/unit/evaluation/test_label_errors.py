"""Labels in doubt: out-of-sample probabilities, neighbours' votes, what is flagged."""

import numpy as np
import pytest

from ml_backend.evaluation.label_errors import FOLDS, NEIGHBOURS, doubtful, folds, out_of_sample, votes
from ml_backend.models.headlines import Headlines

LABELS = ("related", "not related")
TEXTS = ("flood in the river", "football match tonight")


def test_folds_spread_each_class_evenly():
    targets = np.repeat([0, 1, 2], [30, 9, 4])
    fold = folds(targets, seed=0)
    for target in range(3):
        counts = np.bincount(fold[targets == target], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert (fold == folds(targets, seed=0)).all()
    assert (fold != folds(targets, seed=1)).any()


def test_votes_by_hand():
    known = np.array([[1, 0], [1, 0.1], [0, 1]], dtype=np.float32)
    found = votes(np.array([[2, 0]], dtype=np.float32), known, np.array([0, 0, 1]), classes=2)
    assert found == pytest.approx(np.array([[(2 + 0.5) / 4, (1 + 0.5) / 4]]))  # all three vote: fewer than NEIGHBOURS
    many = np.repeat(known, NEIGHBOURS, axis=0)
    found = votes(np.array([[0, 3]], dtype=np.float32), many, np.repeat([0, 0, 1], NEIGHBOURS), classes=2)
    assert found == pytest.approx(np.array([[0.5, NEIGHBOURS + 0.5]]) / (NEIGHBOURS + 1))


def test_flipped_labels_are_found():
    items = [f"{TEXTS[number % 2]}, story {number}" for number in range(60)]
    targets = np.arange(60) % 2
    flipped = [4, 17, 32]
    targets[flipped] = 1 - targets[flipped]
    found = out_of_sample(Headlines, LABELS, items, targets, seed=0, hyperparameters={"steps": 50})
    assert found.sum(axis=1) == pytest.approx(1)
    assert sorted(doubtful(found, targets)) == flipped


def test_the_least_likely_label_comes_first():
    targets = np.array([0] * 10 + [1] * 10)
    p = np.where(targets == 0, 0.9, 0.1)
    p[3], p[15] = 0.15, 0.95
    assert doubtful(np.stack([p, 1 - p], axis=1), targets) == [15, 3]


def test_right_labels_are_not_doubted():
    targets = np.array([0, 1] * 10)
    p = np.where(targets == 0, 0.9, 0.1)
    assert doubtful(np.stack([p, 1 - p], axis=1), targets) == []


def test_classes_that_cannot_be_judged_are_left_out():
    """Of classes 1 and 4 there is nothing, of class 3 too little: a model without its fold never saw the class."""
    targets = np.array([0] * 10 + [2] * 10 + [3] * (FOLDS - 1))
    p = np.full((len(targets), 5), 0.02)
    p[np.arange(len(targets)), np.where(targets == 3, 0, targets)] = 0.92
    p[5] = [0.02, 0.02, 0.92, 0.02, 0.02]
    assert doubtful(p, targets) == [5]
    assert doubtful(p[:10], targets[:10]) == [], "nor can a class that stands alone"
