"""Thresholds of sets that no evaluation answers chose: what the pool makes expect."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ml_backend.models.base import LabeledItems
from ml_backend.models.several import answers_of, new_model, usual_thresholds
from ml_backend.models.vectors import Vectors
from ml_backend.semi_supervised.choice import OpenItems, fit
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.thresholds import expected_thresholds

RATES = np.array([0.05, 0.3])


def pool(count=30_000):
    """Items of known probabilities, and sets drawn by them: the first class is rare."""
    rng = np.random.default_rng(0)
    odds = rng.normal([-4.5, -1.3], [1.5, 2.0], (count, 2))
    true = 1 / (1 + np.exp(-odds))
    return odds, true, (rng.random(true.shape) < true).astype(np.int64)


def test_where_probabilities_are_right_the_best_threshold_is_half_the_best_f_score():
    _, true, sets = pool()
    found = expected_thresholds(true, true.mean(axis=0))
    for c in range(2):
        scores = [f1_score(sets[:, c], true[:, c] >= t) for t in np.linspace(0.02, 0.8, 40)]
        assert f1_score(sets[:, c], true[:, c] >= found[c]) > max(scores) - 0.02
        assert found[c] == pytest.approx(max(scores) / 2, abs=0.05)


def test_a_model_that_only_ranks_gets_thresholds_that_the_rates_make():
    """No probability is near one half, above or below: one half would put no item, or all, in a set."""
    odds, true, sets = pool()
    for shift in (-6.0, 6.0):
        said = 1 / (1 + np.exp(-(0.5 * odds + shift)))
        found = expected_thresholds(said, sets.mean(axis=0))
        fair = expected_thresholds(true, true.mean(axis=0))
        for c in range(2):
            own, best = (f1_score(sets[:, c], p[:, c] >= t[c]) for p, t in ((said, found), (true, fair)))
            assert own > best - 0.03


def test_what_is_alike_is_in_or_out_together_and_a_class_that_no_item_has_keeps_one_half():
    p = np.array([[0.4, 0.2], [0.4, 0.9], [0.01, 0.1], [0.01, 0.1]])
    assert expected_thresholds(p, np.array([0.5, 0.0])).tolist() == pytest.approx([0.205, 0.5])
    assert expected_thresholds(np.zeros((0, 2)), RATES).tolist() == [0.5, 0.5]


@pytest.fixture(scope="module")
def rare():
    """Vectors of which one in twelve lies in a corner, where alone the first class is; the second is in half of all."""
    rng = np.random.default_rng(3)
    first = rng.random(600) < 1 / 12
    second = rng.random(600) < 1 / 2
    rows = rng.normal(0, 0.6, (600, 8))
    rows[first, 0] += 1.6
    rows[second, 1] += 1.6
    return list((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)), np.stack([first, second], 1)


def test_without_evaluation_tasks_a_rare_class_is_found(rare):
    items, sets = rare[0], rare[1].astype(np.int64)
    known = LabeledItems(items[:80], sets[:80])
    found = fit(
        Recipe(lambda: new_model(Vectors, ("rare", "usual"), multiple=True), seed=0),
        known,
        range(80),
        OpenItems(220, lambda: items[:300], None),
    )
    says = found.model.probabilities(items[300:])[:, 0]
    at_half = f1_score(sets[300:, 0], says[:, 0] >= 0.5)
    own = answers_of(found.model, says)
    assert f1_score(sets[300:, 0], own[:, 0]) > at_half + 0.1
    again = Vectors.from_state(("rare", "usual"), *found.model.state())
    np.testing.assert_array_equal(usual_thresholds(again), usual_thresholds(found.model))
    found.model.sharpen(3.0)
    sharper = found.model.probabilities(items[300:])[:, 0]
    np.testing.assert_array_equal(answers_of(found.model, sharper), own, "no answer changes")
