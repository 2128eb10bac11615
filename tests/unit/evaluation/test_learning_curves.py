"""Figures of learning curves, on curves that a person can check by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import DataError
from ml_backend.evaluation.learning_curves import (
    Curve,
    area,
    band,
    first_above,
    held_from,
    mean_curve,
    paired_difference,
    saving,
)


def curve(*values, start=10, step=10):
    return Curve(np.arange(len(values)) * step + float(start), np.array(values, dtype=float))


def test_held_means_never_below_again():
    assert held_from(curve(0.5, 0.9, 0.8, 0.9, 0.95), 0.9) == 40
    assert held_from(curve(0.9, 0.95), 0.9) == 10
    assert held_from(curve(0.5, 0.95, 0.89), 0.9) is None
    assert first_above(curve(0.5, 0.95, 0.89), 0.9) == 20
    assert first_above(curve(0.5, 0.6), 0.9) is None


def test_area_is_the_mean_height():
    assert area(curve(0.0, 1.0)) == pytest.approx(0.5)
    assert area(curve(0.5, 0.5, 1.0)) == pytest.approx(0.625)
    assert area(curve(0.0, 1.0), 15, 20) == pytest.approx(0.75)  # the left end is interpolated
    for low, high in ((5, 20), (10, 25), (15, 15)):
        with pytest.raises(DataError, match="runs from 10 to 20"):
            area(curve(0.0, 1.0), low, high)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_area_lies_between_the_lowest_and_the_highest_value(values):
    found = area(curve(*values))
    assert min(values) - 1e-12 <= found <= max(values) + 1e-12


def test_mean_and_band_use_the_label_counts_that_all_seeds_have():
    curves = {0: curve(0.2, 0.4, 0.6), 1: curve(0.4, 0.8)}
    mean = mean_curve(curves)
    assert mean.labels.tolist() == [10, 20]
    assert mean.values == pytest.approx([0.3, 0.6])
    labels, low, high = band(curves)
    assert (labels.tolist(), low.tolist(), high.tolist()) == ([10, 20], [0.2, 0.4], [0.4, 0.8])
    with pytest.raises(DataError, match="no curves"):
        mean_curve({})


@pytest.mark.parametrize(
    ("labels", "values"), [([], []), ([1, 2], [0.5]), ([2, 1], [0.5, 0.6]), ([1, 1], [0.5, 0.6]), ([[1]], [[0.5]])]
)
def test_what_is_no_curve_is_refused(labels, values):
    with pytest.raises(DataError, match="curve"):
        Curve(np.array(labels, dtype=float), np.array(values, dtype=float))


def test_differences_are_paired_by_seed():
    # Seeds differ by far more than strategies do: unpaired, the interval would hold 0.
    theirs = {seed: 0.1 * seed for seed in range(8)}
    ours = {seed: value + 0.01 + 0.001 * (seed % 2) for seed, value in theirs.items()}
    found = paired_difference(ours | {99: 1.0}, theirs)
    assert found.mean == pytest.approx(0.0105)
    assert 0.01 <= found.low < found.mean < found.high <= 0.011
    assert paired_difference(ours, theirs, seed=0) == paired_difference(ours, theirs, seed=0)


def test_one_seed_has_no_interval_and_none_no_difference():
    only = paired_difference({0: 1.0}, {0: 0.5})
    assert (only.mean, only.low, only.high) == (0.5, None, None)
    with pytest.raises(DataError, match="no seed in common"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_labels_saved_and_what_is_not_reached():
    slow, fast, never = curve(0.1, 0.5, 0.9), curve(0.9, 0.9, 0.9), curve(0.1, 0.1, 0.1)
    found = saving({0: fast, 1: fast}, {0: slow, 1: slow}, 0.9)
    assert (found.labels.mean, found.unreached, found.at_least) == (20, 0, False)
    found = saving({0: fast}, {0: never}, 0.9)
    assert (found.labels.mean, found.at_least) == (21, True)  # one more than were tried
    found = saving({0: never, 1: fast}, {0: slow, 1: slow}, 0.9)
    assert found.unreached == 1
