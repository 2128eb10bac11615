"""Measures of answers that are sets: each by hand, and what agreement, guessing and doubts make of sets."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from ml_backend.errors import AcquisitionError
from ml_backend.evaluation.agreement import krippendorff_alpha, majority_set, masi_distance, measure
from ml_backend.evaluation.guessing import guessing_verdict_of_sets
from ml_backend.evaluation.intervals import intervals
from ml_backend.evaluation.label_errors import doubtful_sets, folds, has_enough
from ml_backend.evaluation.sets import (
    FEWEST,
    HALF,
    USUAL_COUNTS,
    answered_across,
    best_thresholds,
    evaluate_sets,
    thresholds_near,
)
from ml_backend.label_sets import pack

LABELS = ("a", "b", "c")


def drawn(n=300, seed=0, shift=0.0):
    generator = np.random.default_rng(seed)
    sets = (generator.random((n, 3)) < (0.5, 0.2, 0.1)).astype(np.int64)
    noise = generator.normal(0, 1.0, (n, 3))
    return 1 / (1 + np.exp(-(3 * (sets - 0.5) + noise + shift))), sets


def test_measures_by_hand():
    p = np.array([[0.9, 0.2, 0.1], [0.6, 0.7, 0.1], [0.4, 0.4, 0.1], [0.1, 0.8, 0.1]])
    sets = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]])
    found = evaluate_sets(p, sets, LABELS)
    assert found.accuracy == 0.5, "the first and the third set are right as a whole"
    assert found.f_macro == pytest.approx((4 / 5 + 2 / 3) / 2), "nobody named the third class"
    assert found.f_micro == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert [(c.label, c.targets, c.predicted, c.correct) for c in found.classes] == [
        ("a", 3, 2, 2),
        ("b", 1, 2, 1),
        ("c", 0, 0, 0),
    ]
    hit = np.where(sets > 0, p, 1 - p)
    assert found.nll == pytest.approx(-np.log(hit).sum(axis=1).mean())
    assert found.auc == pytest.approx((2 / 3 + 1.0) / 2)


def test_measures_are_those_of_scikit_learn():
    p, sets = drawn()
    found, answers = evaluate_sets(p, sets, LABELS), (p >= 0.5).astype(int)
    assert found.f_macro == pytest.approx(f1_score(sets, answers, average="macro"))
    assert found.f_micro == pytest.approx(f1_score(sets, answers, average="micro"))


def test_thresholds_are_best_for_each_class_and_one_half_where_little_is_known():
    p, sets = drawn(shift=-2.0)
    found = best_thresholds(p, sets)
    for c in range(3):
        others = [f1_score(sets[:, c], p[:, c] >= t, zero_division=0) for t in np.linspace(0.01, 0.99, 99)]
        assert f1_score(sets[:, c], p[:, c] >= found[c]) >= max(others) - 1e-9
    assert (found < HALF).all()
    few = np.zeros((20, 3), np.int64)
    few[: FEWEST - 1] = 1
    assert best_thresholds(p[:20], few).tolist() == [HALF] * 3
    assert best_thresholds(p[:20], 1 - few).tolist() == [HALF] * 3


def test_what_is_measured_did_not_choose_the_thresholds():
    """Of noise, thresholds that know the answers look better than those that do not."""
    generator = np.random.default_rng(1)
    p, sets = generator.random((60, 3)), (generator.random((60, 3)) < 0.2).astype(np.int64)
    fair = evaluate_sets(p, sets, LABELS, answered_across(p, sets))
    told = evaluate_sets(p, sets, LABELS, (p >= best_thresholds(p, sets)).astype(int))
    assert fair.f_macro < told.f_macro
    np.testing.assert_array_equal(answered_across(p, sets, seed=3), answered_across(p, sets, seed=3))


def test_intervals_hold_the_measures():
    p, sets = drawn()
    answers = (p >= 0.5).astype(np.int64)
    whole, found = evaluate_sets(p, sets, LABELS, answers), intervals(p, sets, None, answers=answers)
    assert set(found) == {"f_macro", "f_micro", "auc"}
    for name, (low, high) in found.items():
        assert low < getattr(whole, name) < high


@pytest.mark.parametrize(
    ("p", "sets", "reason"),
    [
        (np.full((2, 3), 1.5), np.zeros((2, 3), int), "no probability"),
        (np.full((2, 3), np.nan), np.zeros((2, 3), int), "no probability"),
        (np.full((2, 3), 0.5), np.zeros(2, int), "sets of shape"),
        (np.full((2, 3), 0.5), np.full((2, 3), 2), "0 or 1"),
        (np.zeros((0, 3)), np.zeros((0, 3), int), "No items"),
    ],
)
def test_what_cannot_be_judged(p, sets, reason):
    with pytest.raises(AcquisitionError, match=reason):
        evaluate_sets(p, sets, LABELS)


def answer(*labels):
    return pack(labels, LABELS)


def test_masi_by_hand():
    assert masi_distance(answer("a"), answer("a")) == 0
    assert masi_distance(answer(), answer()) == 0
    assert masi_distance(answer(), answer("a")) == 1
    assert masi_distance(answer("a"), answer("b")) == 1
    assert masi_distance(answer("a"), answer("a", "b")) == pytest.approx(1 - 1 / 2 * 2 / 3)
    assert masi_distance(answer("a", "b"), answer("b", "c")) == pytest.approx(1 - 1 / 3 * 1 / 3)


def test_alpha_with_a_distance():
    nominal = [("a", "a"), ("a", "b"), ("b", "b")]
    assert krippendorff_alpha(nominal, lambda x, y: float(x != y)) == pytest.approx(krippendorff_alpha(nominal))
    near = [(answer("a"), answer("a", "b")), (answer("c"), answer("c")), (answer(), answer())]
    assert krippendorff_alpha(near, masi_distance) > krippendorff_alpha(near)
    assert measure(near, sets=True).tied == 1, "half of the two say b"


def test_a_set_of_what_more_than_half_chose():
    assert majority_set([answer("a", "b"), answer("a"), answer("a", "c")]) == "a"
    assert majority_set([answer(), answer(), answer("a")]) == ""
    assert majority_set([answer("a"), answer()]) is None
    assert majority_set([]) is None


def test_guessing_of_sets():
    p, sets = drawn()
    assert guessing_verdict_of_sets(p, sets, LABELS).guessing is False
    noise = np.random.default_rng(5).random((300, 3)) * 0.4
    verdict = guessing_verdict_of_sets(noise, sets, LABELS)
    assert verdict.guessing is True
    assert verdict.most_frequent == "(none)" or verdict.most_frequent in LABELS
    assert guessing_verdict_of_sets(p[:4], sets[:4], LABELS).guessing is None


def test_doubts_of_sets():
    p, sets = drawn()
    wrong = sets.copy()
    p = np.where(sets > 0, 0.95, 0.05) + np.random.default_rng(2).uniform(-0.04, 0.04, sets.shape)
    flipped = np.arange(0, 300, 10)
    wrong[flipped, 0] = 1 - wrong[flipped, 0]
    found = set(doubtful_sets(p, wrong))
    assert found <= set(flipped.tolist())
    assert len(found) >= 20
    assert doubtful_sets(p[:4], np.zeros((4, 3), np.int64)) == []
    assert has_enough(sets, 3)
    assert not has_enough(np.zeros((9, 3), np.int64), 3)
    assert sorted(np.bincount(folds(sets, 0)).tolist()) == [100, 100, 100]


def test_few_answers_move_the_usual_thresholds_a_little_and_many_all_the_way():
    usual = np.array([0.1, 0.1])
    p = np.array([[0.9, 0.9], [0.2, 0.2]])
    assert thresholds_near(usual, p, np.array([[0, 0], [0, 0]])).tolist() == pytest.approx([0.1, 0.1])
    best = 0.55  # half-way between the two
    for count in (1, USUAL_COUNTS, 1_000):
        found = thresholds_near(usual, np.repeat(p, count, axis=0), np.repeat([[1, 0], [0, 0]], count, axis=0))
        assert found[1] == pytest.approx(0.1), "no item has it"
        share = count / (count + USUAL_COUNTS)
        odds = share * np.log(best / (1 - best)) + (1 - share) * np.log(0.1 / 0.9)
        assert found[0] == pytest.approx(1 / (1 + np.exp(-odds)))
    answers = answered_across(np.repeat(p, 50, axis=0), np.repeat([[1, 0], [0, 0]], 50, axis=0), usual)
    np.testing.assert_array_equal(answers, np.repeat([[1, 1], [0, 1]], 50, axis=0))
