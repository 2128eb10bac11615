"""Learning curves: intervals that hold, labels saved on made-up curves whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.evaluation.intervals import wilson
from ml_backend.evaluation.stopping import Judged, agreement, forecast, has_settled, labels_saved, power_law

TASKS = 1000
SIZES = (20, 26, 34, 44, 57, 74, 97, 126)


def judged(labels: int, error: float, generator: np.random.Generator) -> Judged:
    return Judged(labels, generator.random(TASKS) >= error)


def curve(a: float, b: float, generator: np.random.Generator, sizes=SIZES, repeats=2) -> list[Judged]:
    return [judged(n, a * n**-b, generator) for n in sizes for _ in range(repeats)]


def test_wilson_by_hand():
    # 8 of 10 with z = 1.96: centre (0.8 + 0.19208) / 1.38416, half-width by the formula.
    found = wilson(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.490162, 0.943318), abs=1e-5)


def test_wilson_without_trials_is_refused():
    with pytest.raises(ValueError, match="n"):
        wilson(0, 0)


@given(st.floats(0.1, 3.0), st.floats(0.1, 1.0))
def test_an_exact_power_law_is_found(a, b):
    sizes = np.array([30.0, 60.0, 120.0, 240.0])
    errors = np.minimum(a * sizes**-b, 0.99)
    if (errors < 0.98).all() and (errors > 0.001).all():
        assert power_law(sizes, errors, 1000) == pytest.approx((a, b), rel=1e-6)


def test_one_size_is_no_curve():
    with pytest.raises(ValueError, match="two different"):
        power_law(np.array([30.0, 30.0]), np.array([0.1, 0.2]), 100)
    same = [Judged(30, np.ones(10, dtype=bool))] * 6
    assert labels_saved(same, same[0], pool=100, generator=np.random.default_rng(0)) is None
    assert forecast(same, same[0], labels=100, generator=np.random.default_rng(0)) is None


def test_labels_saved_covers_the_truth():
    """The error of 300 random labels, reached with 150: in 40 made-up projects, the interval holds 300 in most."""
    hits, estimates = 0, []
    a, b = 2.0, 0.7
    for seed in range(40):
        generator = np.random.default_rng(seed)
        active = judged(150, a * 300**-b, generator)
        found = labels_saved(curve(a, b, generator), active, pool=100_000, generator=generator)
        assert found is not None
        hits += found.random_labels.low <= 300 <= found.random_labels.high
        estimates.append(found.random_labels.value)
        assert found.saved.value == found.random_labels.value - 150
    assert hits >= 34
    assert np.median(estimates) == pytest.approx(300, rel=0.15)


def test_an_order_that_saves_nothing_is_told_so():
    generator = np.random.default_rng(1)
    found = labels_saved(
        curve(2, 0.7, generator), judged(300, 2 * 100**-0.7, generator), pool=9999, generator=generator
    )
    assert found is not None
    assert found.saved.high < 0


def test_nothing_beyond_the_pool_is_claimed():
    generator = np.random.default_rng(2)
    perfect = Judged(100, np.ones(TASKS, dtype=bool))
    found = labels_saved(curve(2, 0.4, generator), perfect, pool=500, generator=generator)
    assert found is not None
    assert found.at_least
    assert found.random_labels.high == 500


def test_a_forecast_holds_the_truth_and_is_reproducible():
    a, b = 1.5, 0.6
    hits = 0
    for seed in range(30):
        models = curve(a, b, np.random.default_rng(seed), repeats=1)
        found = forecast(models, models[-1], labels=226, generator=np.random.default_rng(seed))
        assert found == forecast(models, models[-1], labels=226, generator=np.random.default_rng(seed))
        assert found is not None
        hits += found.low <= 1 - a * 226**-b <= found.high
    assert hits >= 25


def test_a_first_steep_fall_does_not_go_on():
    """From 40 to 5 % errors with ten labels more; then twice the labels are taken to halve the errors, at most."""
    models = [
        Judged(n, np.arange(TASKS) >= error * TASKS) for n, error in ((20, 0.6), (25, 0.4), (30, 0.2), (35, 0.05))
    ]
    found = forecast(models, models[-1], labels=70, generator=np.random.default_rng(0))
    assert found is not None
    assert found.value == pytest.approx(0.975)
    assert found.high < 0.99


def test_agreement_by_hand():
    # 5 of 6 agree; by chance (3 * 2 + 3 * 4) / 36 = 1/2: kappa = (5/6 - 1/2) / (1/2) = 2/3.
    assert agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])) == pytest.approx(2 / 3)
    # 3 of 6 agree, as chance alone would.
    assert agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 0, 0])) == pytest.approx(0.0)
    assert agreement(np.array([2, 2]), np.array([2, 2])) == 1.0


def test_settled_takes_three_agreements_in_a_row():
    assert not has_settled([0.999, 0.999])
    assert has_settled([0.2, 0.992, 0.995, 0.999])
    assert not has_settled([0.999, 0.999, 0.9])
