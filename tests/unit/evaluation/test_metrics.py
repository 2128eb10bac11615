"""Metrics whose values a person can check by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import AcquisitionError
from ml_backend.evaluation.metrics import evaluate, expected_calibration_error, negative_log_likelihood

YES_NO = ("no", "yes")


def test_four_items_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    m = evaluate(p, np.array([0, 0, 1, 1]), YES_NO)
    assert m.n == 4
    assert m.accuracy == 0.75
    assert m.positive == "yes"
    assert m.f_positive == pytest.approx(2 / 3)  # precision 1, recall 1/2
    assert m.f_macro == pytest.approx((2 / 3 + 4 / 5) / 2)  # "no": precision 2/3, recall 1
    assert m.auc == 1.0
    assert m.nll == pytest.approx(-(math.log(0.9) + math.log(0.8) + math.log(0.6) + math.log(0.3)) / 4)
    # Each item is alone in its bin: three right ones lack 0.1, 0.2, 0.4 of confidence, the wrong one has 0.7 too much.
    assert m.ece == pytest.approx((0.1 + 0.2 + 0.4 + 0.7) / 4)
    assert [dataclasses.astuple(c) for c in m.classes] == [("no", 2, 3, 2), ("yes", 2, 1, 1)]


def test_positive_is_the_rarer_or_the_named():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    y = np.array([0, 1, 1])
    assert evaluate(p, y, YES_NO).positive == "no"
    assert evaluate(p, y, YES_NO, "yes").positive == "yes"
    three = np.eye(3)
    assert evaluate(three, np.arange(3), "abc").f_positive is None
    assert evaluate(three, np.arange(3), "abc", "b").f_positive == 1.0


def test_perfect_and_json():
    m = evaluate(np.eye(3, dtype=np.float32), np.arange(3), ("a", "b", "c"))
    assert (m.accuracy, m.f_macro, m.auc, m.nll, m.ece) == (1, 1, 1, 0, 0)
    assert json.loads(json.dumps(dataclasses.asdict(m)))["classes"][0] == {
        "label": "a",
        "targets": 1,
        "predicted": 1,
        "correct": 1,
    }


def test_one_class_among_the_targets():
    m = evaluate(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), YES_NO)
    assert m.auc is None
    assert m.f_positive == 0.0  # the rarer class "yes" does not occur, but was predicted
    assert m.accuracy == 0.5


def test_one_label_only():
    m = evaluate(np.ones((2, 1)), np.zeros(2, dtype=int), ("all",))
    assert (m.accuracy, m.nll, m.auc, m.positive) == (1.0, 0.0, None, None)


def test_class_missing_among_the_targets():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
    m = evaluate(p, np.array([0, 1, 0]), ("a", "b", "c"))
    assert m.auc == 1.0
    assert m.f_macro == 1.0  # over the classes that occur
    assert dataclasses.astuple(m.classes[2]) == ("c", 0, 0, 0)


def test_auc_of_several_classes_is_their_mean_against_the_rest():
    p = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
    # a against rest: item 1 (a) scores .5 > .2 and < .6: 1/2. b: item 0 (b) .3 < .4, > .2: 1/2. c: .6 above both: 1.
    assert evaluate(p, np.array([1, 0, 2]), "abc").auc == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_calibration_by_hand():
    # All in one bin (0.8, 0.867]; confidence 0.85, accuracy 3/4.
    p = np.tile([0.85, 0.15], (4, 1))
    assert expected_calibration_error(p, np.array([0, 0, 0, 1])) == pytest.approx(0.1)
    # 0.8 = 12/15 ends its bin: two bins, |1 - 0.8| and |0 - 0.81|, half of the items each.
    p = np.array([[0.8, 0.2], [0.81, 0.19]])
    assert expected_calibration_error(p, np.array([0, 1])) == pytest.approx((0.2 + 0.81) / 2)


def test_impossible_target_keeps_nll_finite():
    nll = negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1]))
    assert nll == pytest.approx(-math.log(np.finfo(np.float32).tiny))


@pytest.mark.parametrize(
    ("row", "message"),
    [([np.nan, 1.0], "Row 1"), ([0.6, 0.6], "Row 1.*sum 1.2"), ([1.5, -0.5], "Row 1"), ([np.inf, 0], "Row 1")],
)
def test_rows_that_are_no_distribution(row, message):
    with pytest.raises(AcquisitionError, match=message):
        evaluate(np.array([[0.5, 0.5], row]), np.array([0, 1]), YES_NO)


def test_float32_rows_may_be_a_little_off():
    assert evaluate(np.array([[0.5, 0.4995]], dtype=np.float32), np.array([0]), YES_NO).n == 1


@pytest.mark.parametrize(
    ("p", "y", "positive", "message"),
    [
        (np.zeros((0, 2)), [], None, "No items"),
        (np.ones((2, 1)), [0, 0], None, "shape"),
        (np.full((2, 2), 0.5), [0], None, "2 rows"),
        (np.full((1, 2), 0.5), [2], None, "from 0 to 1"),
        (np.full((1, 2), 0.5), [0.0], None, "whole numbers"),
        (np.full((1, 2), 0.5), [0], "maybe", "No label is called 'maybe'"),
    ],
)
def test_input_that_does_not_fit(p, y, positive, message):
    with pytest.raises(AcquisitionError, match=message):
        evaluate(p, np.array(y), YES_NO, positive)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 40))
def test_bounds_and_order(seed, classes, n):
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(classes), size=n), rng.integers(0, classes, size=n)
    labels = [str(i) for i in range(classes)]
    m = evaluate(p, y, labels)
    assert all(0 <= value <= 1 for value in (m.accuracy, m.f_macro, m.ece))
    assert m.auc is None or 0 <= m.auc <= 1
    assert m.nll >= 0
    assert sum(c.targets for c in m.classes) == sum(c.predicted for c in m.classes) == n
    order = rng.permutation(n)
    other = evaluate(p[order], y[order], labels)
    assert (m.accuracy, m.classes) == (other.accuracy, other.classes)
    assert m.ece == pytest.approx(other.ece)
