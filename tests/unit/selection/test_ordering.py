"""Orders, ties, draws, and the scores that Label Studio sorts by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml_backend.draws import draws_for
from ml_backend.errors import AcquisitionError
from ml_backend.selection.ordering import RANK_SHARE, queue_scores, rank, served_score, uncertainty
from ml_backend.strategies.mixture import itemwise
from ml_backend.strategies.registry import STRATEGIES

UNIT = st.floats(0, 1)


def ids(count, first=1):
    return np.arange(first, first + count, dtype=np.int64)


# --- draws -------------------------------------------------------------------------------------------------------


def test_draws_are_spread_evenly_over_zero_to_one():
    draws = draws_for(ids(20_000), seed=0)
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    # 2,000 per bin is expected; four standard deviations are 170.
    assert abs(counts - 2000).max() < 170
    assert len(set(draws.tolist())) == 20_000


def test_neighbours_in_id_or_seed_are_not_alike():
    draws = np.array([draws_for(ids(2000), seed) for seed in range(3)])
    for a, b in ((draws[0, :-1], draws[0, 1:]), (draws[0], draws[1]), (draws[1], draws[2])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.1


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=20, unique=True), st.integers(0, 2**32), st.data())
def test_a_draw_belongs_to_the_id_not_to_the_batch(task_ids, seed, data):
    whole = dict(zip(task_ids, draws_for(np.array(task_ids), seed), strict=True))
    some = data.draw(st.permutations(task_ids))[: data.draw(st.integers(1, len(task_ids)))]
    assert draws_for(np.array(some), seed).tolist() == [whole[task_id] for task_id in some]


@pytest.mark.parametrize("seed", [-1, -(2**70), 2**32, 2**64 - 1, 2**64, 10**30])
def test_any_seed_gives_draws(seed):
    draws = draws_for(ids(100), seed)
    assert ((draws >= 0) & (draws < 1)).all()
    assert len(set(draws.tolist())) == 100


def test_another_seed_gives_other_draws():
    assert not np.isclose(draws_for(ids(100), 0), draws_for(ids(100), 1)).any()


def splitmix64(task_id, seed):
    """The same in whole numbers of Python, which cannot overflow."""
    z = ((task_id + 1) * 0x9E3779B97F4A7C15 + seed * 0xD1342543DE82EF95) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return ((z ^ (z >> 31)) >> 11) / 2**53


@given(st.integers(0, 2**62), st.integers(-(2**70), 2**70))
def test_a_draw_is_splitmix64_of_id_and_seed(task_id, seed):
    assert draws_for(np.array([task_id]), seed).tolist() == [splitmix64(task_id, seed)]


def test_the_draws_stay_the_same_from_release_to_release():
    # Else every running project's control arm would change its order in the middle of a comparison.
    assert draws_for(np.array([1, 2]), seed=7).tolist() == pytest.approx([0.7380940462440627, 0.8414270331927484])


# --- order -------------------------------------------------------------------------------------------------------


def test_largest_first():
    assert rank(np.array([0.2, 0.9, 0.5]), ids(3), seed=0).tolist() == [1, 2, 0]


@pytest.mark.parametrize(("count", "expected"), [(None, 5), (9, 5), (5, 5), (2, 2), (1, 1), (0, 0)])
def test_count(count, expected):
    scores = np.array([0.1, 0.5, 0.3, 0.9, 0.7])
    assert rank(scores, ids(5), seed=0, count=count).tolist() == [3, 4, 1, 2, 0][:expected]


@pytest.mark.parametrize("count", [None, 0, 5])
def test_an_empty_pool(count):
    assert rank(np.zeros(0), np.zeros(0, np.int64), seed=0, count=count).tolist() == []


def test_ties_follow_the_seed_not_the_position_and_not_the_id():
    scores, task_ids = np.full(200, 0.5), ids(200)
    order = rank(scores, task_ids, seed=1)
    assert sorted(order) == list(range(200))
    assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.2
    assert rank(scores, task_ids, seed=2).tolist() != order.tolist()
    # The same tasks in another array order come out in the same order.
    backwards = rank(scores[::-1], task_ids[::-1], seed=1)
    assert task_ids[::-1][backwards].tolist() == task_ids[order].tolist()


def test_the_draw_decides_which_of_the_tied_get_the_last_places():
    scores = np.array([0.9] + [0.5] * 100)
    chosen = rank(scores, ids(101), seed=3, count=11)
    assert chosen[0] == 0
    assert chosen[1:].tolist() != list(range(1, 11))
    assert chosen.tolist() == rank(scores, ids(101), seed=3)[:11].tolist()


def test_tie_breaks_are_not_the_draws_of_the_random_strategy():
    # Else what a strategy asks first among equals would be what the control arm asks first, or last.
    task_ids = ids(200)
    random = np.argsort(rank(draws_for(task_ids, 5), task_ids, seed=5))  # item → place
    tied = np.argsort(rank(np.full(200, 0.5), task_ids, seed=5))
    assert abs(np.corrcoef(random, tied)[0, 1]) < 0.2


@given(arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.integers(0, 40))
def test_a_short_queue_is_the_head_of_the_long_one(scores, count):
    task_ids = ids(len(scores), first=50)
    whole = rank(scores, task_ids, seed=4)
    assert (np.diff(scores[whole]) <= 0).all()
    assert rank(scores, task_ids, seed=4, count=count).tolist() == whole[:count].tolist()


# --- served scores -----------------------------------------------------------------------------------------------


def test_the_most_uncertain_is_served_first():
    assert served_score(np.array([1.0, 0.5, 0.0])) == pytest.approx([0.0, 0.5, 1.0], abs=2 * RANK_SHARE)


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.5, 1.0])
def test_ten_thousand_equal_items_have_strictly_rising_scores(value):
    scores = queue_scores(np.full(10_000, value))
    assert (np.diff(scores) > 0).all()
    assert scores[0] >= 0
    assert scores[-1] <= 1


@given(arrays(np.float64, st.integers(0, 50), elements=UNIT))
def test_a_queue_in_any_order_has_strictly_rising_scores(uncertainties):
    scores = queue_scores(uncertainties)
    assert (np.diff(scores) > 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@given(arrays(np.float64, st.integers(1, 50), elements=UNIT))
def test_queue_and_single_task_agree(uncertainties):
    falling = np.sort(uncertainties)[::-1]
    np.testing.assert_allclose(queue_scores(falling), served_score(falling), rtol=0, atol=RANK_SHARE)


def test_an_item_out_of_order_gets_at_most_its_predecessors_uncertainty():
    assert queue_scores(np.array([0.5, 0.9, 0.2])) == pytest.approx([0.5, 0.5, 0.8], abs=2 * RANK_SHARE)


# --- uncertainty -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in ("random", "power_bald")])
def test_every_strategy_is_normalised(strategy):
    opposed = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    got = uncertainty(strategy, opposed, ids(2), seed=0)
    assert got == pytest.approx([1.0, 0.0])
    assert uncertainty("random", opposed, ids(2), seed=0) == pytest.approx(draws_for(ids(2), 0))


def test_rounding_of_a_model_cannot_leave_zero_to_one():
    rows = np.array([[[0.50004, 0.50004]], [[1.0005, 0.0]]])
    for strategy in ("entropy", "least_confidence", "margin"):
        got = uncertainty(strategy, rows, ids(2), seed=0)
        assert ((got >= 0) & (got <= 1)).all()


def test_a_batch_and_its_parts_agree():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (10, 2))
    for strategy in STRATEGIES:
        whole = uncertainty(strategy, probabilities, ids(10), seed=9)
        parts = [uncertainty(strategy, probabilities[i : i + 1], ids(1, i + 1), seed=9)[0] for i in range(10)]
        assert whole.tolist() == pytest.approx(parts, abs=1e-12)


@pytest.mark.parametrize("strategy", [n for n, entry in STRATEGIES.items() if "samples" in entry.needs and itemwise(n)])
def test_one_pass_is_too_few_to_compare(strategy):
    with pytest.raises(AcquisitionError, match=f"'{strategy}'.*at least 2 samples"):
        uncertainty(strategy, np.array([[[0.5, 0.5]]]), ids(1), seed=0)


def test_an_unknown_strategy_lists_the_known_ones():
    with pytest.raises(AcquisitionError, match=r"'nonsense'.*entropy.*bald.*random"):
        uncertainty("nonsense", np.array([[[0.5, 0.5]]]), ids(1), seed=0)


def test_broken_probabilities_are_not_scored():
    with pytest.raises(AcquisitionError, match="Item 0"):
        uncertainty("random", np.array([[[np.nan, 0.5]]]), ids(1), seed=0)
