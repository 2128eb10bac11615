"""The promotion rule, by hand: which differences count, which may be chance."""

import numpy as np
import pytest

from ml_backend.evaluation.promotion import compare, evaluation_fingerprint, is_promoted


def right(count, of):
    return np.arange(of) < count


def test_counts_and_the_binomial_tail_by_hand():
    old = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool)
    new = np.array([0, 0, 0, 0, 0, 1, 1, 0], bool)
    found = compare(new, old, against="v1")
    assert (found.n, found.lost, found.won) == (8, 5, 1)
    assert (found.accuracy, found.accuracy_before) == (2 / 8, 6 / 8)
    assert found.p_value == pytest.approx((6 + 1) / 2**6)  # 5 or 6 heads of 6
    assert "accuracy 25.0% against 75.0% of v1 on the same 8 evaluation tasks (5 lost, 1 won, p = 0.11)" in str(found)


@pytest.mark.parametrize(
    ("new", "old", "of", "margin", "promoted"),
    [
        (50, 50, 50, 0.0, True),  # the same answers
        (50, 40, 50, 0.0, True),  # better
        (46, 50, 50, 0.02, True),  # four lost, none won: p = 1/16, may be chance
        (45, 50, 50, 0.02, False),  # five lost: p = 1/32
        (45, 50, 50, 0.10, True),  # within the margin
        (1990, 2000, 2000, 0.02, True),  # no chance at all, but only half a percent
        (1900, 2000, 2000, 0.02, False),
        (0, 50, 50, None, True),  # the gate is off
    ],
)
def test_clearly_worse_needs_margin_and_significance(new, old, of, margin, promoted):
    assert is_promoted(compare(right(new, of), right(old, of), against="v"), margin) is promoted


def test_noise_of_a_small_evaluation_set_does_not_block():
    old, new = np.array([True] * 8 + [False] * 5 + [True] * 37), np.array([False] * 8 + [True] * 5 + [True] * 37)
    comparison = compare(new, old, against="v")
    assert comparison.accuracy_before - comparison.accuracy == pytest.approx(0.06)
    assert is_promoted(comparison, 0.02)


def test_nothing_to_compare_with():
    assert is_promoted(None, 0.0)


@pytest.mark.parametrize("shapes", [(0, 0), (2, 3)])
def test_other_tasks_cannot_be_compared(shapes):
    with pytest.raises(ValueError, match="same tasks"):
        compare(*(np.ones(n, bool) for n in shapes), against="v")


def test_the_evaluation_fingerprint_is_of_labels_and_not_of_their_order():
    assert evaluation_fingerprint([(1, "a"), (2, "b")]) == evaluation_fingerprint([(2, "b"), (1, "a")])
    assert evaluation_fingerprint([(1, "a"), (2, "b")]) != evaluation_fingerprint([(1, "a"), (2, "a")])
