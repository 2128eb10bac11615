"""Values that can be checked by hand, and the contract that every registered strategy keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml_backend.acquisition import ACQUISITIONS, check_probabilities, get_acquisition
from ml_backend.errors import AcquisitionError

ROUNDING = 1e-9
CERTAIN = [[[0.0, 1.0, 0.0]]]  # [1, 1, 3]


def score(strategy, probabilities, draws=None):
    values = np.asarray(probabilities, dtype=np.float64)
    if draws is None:
        draws = np.linspace(0.1, 0.9, len(values))
    return ACQUISITIONS[strategy].score(values, np.asarray(draws))


@st.composite
def distributions(draw, min_items=1):
    """``probabilities [N, K, C]``: any non-negative weights, some of them zero, made to sum to 1."""
    shape = (draw(st.integers(min_items, 6)), draw(st.integers(2, 4)), draw(st.integers(2, 5)))
    weights = draw(arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-12, 0.1, 0.5, 1.0, 3.0])))
    weights[weights.sum(axis=2) == 0] = 1.0
    return weights / weights.sum(axis=2, keepdims=True)


# --- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("strategy", ["entropy", "dropout_entropy", "least_confidence", "margin"])
def test_a_uniform_row_scores_one(strategy, classes):
    assert score(strategy, np.full((1, 1, classes), 1 / classes)) == pytest.approx([1.0])


def test_two_certain_opposed_passes():
    opposed = [[[1.0, 0.0], [0.0, 1.0]]]
    assert score("bald", opposed) == pytest.approx([math.log(2)])
    assert score("dropout_entropy", opposed) == pytest.approx([1.0])


def test_passes_that_agree_on_a_coin_toss_teach_nothing():
    noise = [[[0.5, 0.5], [0.5, 0.5]]]
    assert score("bald", noise) == pytest.approx([0.0])
    assert score("dropout_entropy", noise) == pytest.approx([1.0])


def test_one_row_by_hand():
    row = [[[0.7, 0.2, 0.1]]]
    assert score("least_confidence", row) == pytest.approx([0.3 * 3 / 2])
    assert score("margin", row) == pytest.approx([1 - (0.7 - 0.2)])
    nats = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    assert score("entropy", row) == pytest.approx([nats / math.log(3)])


def test_bald_is_the_entropy_of_the_mean_less_the_mean_entropy():
    passes = [[[0.9, 0.1], [0.5, 0.5]]]  # mean [0.7, 0.3]

    def entropy(p):
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    assert score("bald", passes) == pytest.approx([entropy(0.7) - (entropy(0.9) + entropy(0.5)) / 2])


def test_the_passes_are_averaged_before_the_largest_is_taken():
    passes = [[[0.8, 0.2], [0.4, 0.6]]]  # mean [0.6, 0.4]
    assert score("least_confidence", passes) == pytest.approx([0.8])
    assert score("margin", passes) == pytest.approx([0.8])


def test_random_is_the_draw_and_no_view_of_it():
    draws = np.array([0.25, 0.75])
    scores = score("random", np.full((2, 1, 2), 0.5), draws)
    assert scores.tolist() == [0.25, 0.75]
    scores[0] = 9.0
    assert draws[0] == 0.25


# --- the registry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ACQUISITIONS)
@given(data=st.data())
def test_contract(strategy, data):
    probabilities = data.draw(distributions())
    items, _, classes = probabilities.shape
    draws = data.draw(arrays(np.float64, items, elements=st.floats(0, 1, exclude_max=True)))
    before = probabilities.copy(), draws.copy()
    scores = score(strategy, probabilities, draws)
    assert scores.shape == (items,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    maximum = ACQUISITIONS[strategy].maximum(classes)
    assert scores.min() >= -ROUNDING
    assert scores.max() <= maximum + ROUNDING
    order = np.array(data.draw(st.permutations(range(items))))
    np.testing.assert_allclose(score(strategy, probabilities[order], draws[order]), scores[order], atol=ROUNDING)
    np.testing.assert_array_equal(probabilities, before[0])
    np.testing.assert_array_equal(draws, before[1])


@pytest.mark.parametrize("strategy", ACQUISITIONS)
def test_a_certain_item_scores_zero_under_every_strategy_that_looks(strategy):
    certain = score(strategy, np.repeat(CERTAIN, 4, axis=1), [0.5])
    assert certain == pytest.approx([0.0] if ACQUISITIONS[strategy].needs_model else [0.5])


@pytest.mark.parametrize("strategy", ACQUISITIONS)
def test_no_items_no_scores(strategy):
    assert score(strategy, np.zeros((0, 2, 3))).shape == (0,)


@pytest.mark.parametrize("strategy", ACQUISITIONS)
def test_every_strategy_says_when_to_use_it(strategy):
    assert len(ACQUISITIONS[strategy].summary) > 10
    assert strategy.isidentifier()  # it becomes a part of a queue's name


def test_the_strategies_that_need_passes():
    assert {name for name, entry in ACQUISITIONS.items() if entry.stochastic} == {"bald", "dropout_entropy"}


@given(distributions())
def test_bald_is_at_most_the_predictive_entropy(probabilities):
    nats = score("entropy", probabilities) * math.log(probabilities.shape[2])
    assert (score("bald", probabilities) <= nats + ROUNDING).all()


@given(distributions())
def test_one_pass_leaves_nothing_to_disagree(probabilities):
    np.testing.assert_allclose(score("bald", probabilities[:, :1]), 0.0, atol=ROUNDING)


@given(distributions(), st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(probabilities, chance):
    order = list(range(probabilities.shape[2]))
    chance.shuffle(order)
    for strategy in ACQUISITIONS:
        np.testing.assert_allclose(
            score(strategy, probabilities[:, :, order]), score(strategy, probabilities), atol=ROUNDING
        )


def test_an_unknown_strategy_lists_the_known_ones():
    with pytest.raises(AcquisitionError) as error:
        get_acquisition("entropie")
    assert all(name in str(error.value) for name in ("'entropie'", *ACQUISITIONS))


# --- probabilities that are none ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [[math.nan, 1.0], [-0.1, 1.1], [0.5, 0.4], [0.6, 0.6], [math.inf, 0.0], [math.inf, -math.inf], [0.0, 0.0]],
    ids=str,
)
def test_a_broken_row_is_named(row):
    with pytest.raises(AcquisitionError, match=r"^Item 2 has probabilities .*1 of 4 items are affected"):
        check_probabilities(np.array([[[0.5, 0.5]], [[1.0, 0.0]], [row], [[0.1, 0.9]]]))


def test_the_first_of_several_broken_rows_is_named_and_all_are_counted():
    with pytest.raises(AcquisitionError, match=r"Item 1 has .*2 of 3 items"):
        check_probabilities(np.array([[[0.5, 0.5]], [[0.5, 0.2]], [[math.nan, 1.0]]]))


def test_one_broken_pass_of_several_is_enough():
    with pytest.raises(AcquisitionError, match="Item 0"):
        check_probabilities(np.array([[[0.5, 0.5], [0.5, 0.6]]]))


@pytest.mark.parametrize("shape", [(4, 2), (4,), (4, 1, 1), (4, 0, 2), (2, 2, 2, 2)], ids=str)
def test_a_wrong_shape_is_shown(shape):
    with pytest.raises(AcquisitionError) as error:
        check_probabilities(np.full(shape, 0.5))
    assert "[items, samples >= 1, classes >= 2]" in str(error.value)
    assert str(shape) in str(error.value)


def test_float32_rows_that_sum_to_nearly_one_pass_unchanged():
    rows = np.array([[[0.333333, 0.333333, 0.333333]], [[0.9, 0.1, 0.0]]], dtype=np.float32)
    checked = check_probabilities(rows)
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, rows)


def test_no_rows_are_no_error():
    assert check_probabilities(np.zeros((0, 1, 2))).shape == (0, 1, 2)
