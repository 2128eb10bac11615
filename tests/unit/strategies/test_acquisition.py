"""Values that can be checked by hand, and what every acquisition function keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml_backend.errors import AcquisitionError
from ml_backend.strategies import acquisition
from ml_backend.strategies.checks import check_probabilities

ROUNDING = 1e-9
CERTAIN = [[[0.0, 1.0, 0.0]]]  # [1, 1, 3]


FUNCTIONS = ("entropy", "least_confidence", "margin", "ratio", "bald", "variation_ratio")
MAXIMUM = {"bald": math.log, "variation_ratio": lambda classes: 1 - 1 / classes}


def score(function, probabilities):
    return getattr(acquisition, function)(np.asarray(probabilities, dtype=np.float64))


@st.composite
def distributions(draw, min_items=1):
    """``probabilities [N, K, C]``: any non-negative weights, some of them zero, made to sum to 1."""
    shape = (draw(st.integers(min_items, 6)), draw(st.integers(2, 4)), draw(st.integers(2, 5)))
    weights = draw(arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-12, 0.1, 0.5, 1.0, 3.0])))
    weights[weights.sum(axis=2) == 0] = 1.0
    return weights / weights.sum(axis=2, keepdims=True)


# --- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("strategy", ["entropy", "least_confidence", "margin", "ratio"])
def test_a_uniform_row_scores_one(strategy, classes):
    assert score(strategy, np.full((1, 1, classes), 1 / classes)) == pytest.approx([1.0])


def test_two_certain_opposed_passes():
    opposed = [[[1.0, 0.0], [0.0, 1.0]]]
    assert score("bald", opposed) == pytest.approx([math.log(2)])
    assert score("entropy", opposed) == pytest.approx([1.0])


def test_passes_that_agree_on_a_coin_toss_teach_nothing():
    noise = [[[0.5, 0.5], [0.5, 0.5]]]
    assert score("bald", noise) == pytest.approx([0.0])
    assert score("entropy", noise) == pytest.approx([1.0])


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


def test_ratio_by_hand():
    assert score("ratio", [[[0.7, 0.2, 0.1]], [[0.5, 0.5, 0.0]]]) == pytest.approx([2 / 7, 1.0])


def test_variation_ratio_by_hand():
    votes = [[[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]]]
    assert score("variation_ratio", votes) == pytest.approx([0.5])
    tied = [[[0.5, 0.5], [1.0, 0.0]]]  # 3/4 of the votes for the first
    assert score("variation_ratio", tied) == pytest.approx([0.25])


def test_epig_is_the_mean_mutual_information_with_the_targets():
    opposed, sure = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]
    p = np.array([opposed, sure])
    assert acquisition.epig(p, p[:1]) == pytest.approx([math.log(2), 0.0])
    assert acquisition.epig(p, p) == pytest.approx([math.log(2) / 2, 0.0])  # nothing to learn about the second


def test_epig_in_blocks_is_epig():
    """Of 40 items about 200 targets of 10 classes: 2 MiB hold a dozen of them at a time."""
    p = np.random.default_rng(0).dirichlet(np.ones(10), (200, 2))
    blocks = acquisition.epig(p[:40], p)
    np.testing.assert_allclose(blocks, np.concatenate([acquisition.epig(p[i : i + 1], p) for i in range(40)]))


def test_epig_of_many_classes_tells_less_and_never_more():
    """What the passes disagree about stands in two classes of 150; 149 of them are all the same."""
    p = np.full((2, 2, 150), 1e-6)
    p[0, 0, 3] = p[0, 1, 140] = p[1, :, 7] = 1 - 149e-6
    assert acquisition.epig(p, p[:1]) == pytest.approx([math.log(2), 0.0], abs=1e-2)
    noisy = np.random.default_rng(0).dirichlet(np.ones(101), (20, 3))
    few = acquisition._likeliest(noisy)
    assert few.shape == (20, 3, 32)
    np.testing.assert_allclose(few.sum(axis=2), 1.0)


@pytest.mark.parametrize("classes", [33, 1_000])
def test_margin_of_many_classes_by_hand(classes):
    p = np.full((1, 1, classes), 0.3 / (classes - 2))
    p[0, 0, [classes - 1, 4]] = 0.5, 0.2
    assert acquisition.margin(p) == pytest.approx([0.7])
    assert acquisition.ratio(p) == pytest.approx([0.4])


def test_power_bald_keeps_draws_of_0_and_nothing_to_learn_finite():
    p = np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    scores = acquisition.power_bald(p, np.array([0.999, 0.0]))
    assert ((scores >= 0) & (scores < 1)).all()
    assert scores[1] > scores[0]


# --- what every function keeps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
@given(data=st.data())
def test_contract(function, data):
    probabilities = data.draw(distributions())
    items, _, classes = probabilities.shape
    before = probabilities.copy()
    scores = score(function, probabilities)
    assert scores.shape == (items,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert scores.min() >= -ROUNDING
    assert scores.max() <= MAXIMUM.get(function, lambda _: 1.0)(classes) + ROUNDING
    order = np.array(data.draw(st.permutations(range(items))))
    np.testing.assert_allclose(score(function, probabilities[order]), scores[order], atol=ROUNDING)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_certain_item_scores_zero(function):
    assert score(function, np.repeat(CERTAIN, 4, axis=1)) == pytest.approx([0.0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_items_no_scores(function):
    assert score(function, np.zeros((0, 2, 3))).shape == (0,)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_many_items_are_scored_in_blocks_as_few_are(function):
    p = np.random.default_rng(0).dirichlet(np.ones(5), (60_000, 2))
    picked = [0, 1, 26_214, 59_999]
    np.testing.assert_allclose(score(function, p)[picked], score(function, p[picked]), atol=ROUNDING)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_single_precision_is_close_to_double(function):
    p = np.random.default_rng(0).dirichlet(np.ones(10), (500, 5)).astype(np.float32)
    single = getattr(acquisition, function)(p)
    np.testing.assert_allclose(single, score(function, p), atol=2e-6)


@given(st.floats(0.4, 0.99), st.floats(0.001, 0.3))
def test_surer_is_less_informative(top, step):
    rows = np.array([[[p, (1 - p) * 0.6, (1 - p) * 0.4]] for p in (top, min(top + step, 1.0))])
    for function in ("entropy", "least_confidence", "margin", "ratio"):
        scores = score(function, rows)
        assert scores[0] > scores[1] - ROUNDING


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
    for strategy in FUNCTIONS:
        np.testing.assert_allclose(
            score(strategy, probabilities[:, :, order]), score(strategy, probabilities), atol=ROUNDING
        )


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
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, rows)


def test_no_rows_are_no_error():
    assert check_probabilities(np.zeros((0, 1, 2))).shape == (0, 1, 2)
