"""What every registered strategy makes of answers that are sets: the same contract, and values by hand."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy
from support.pools import ALL, BATCH_AWARE, FIRST_ID, inputs

from ml_backend.errors import AcquisitionError
from ml_backend.selection.choose import choose
from ml_backend.selection.ordering import inputs_of, uncertainty
from ml_backend.strategies.base import Strategy, needs
from ml_backend.strategies.batch_bald import batch_bald, batch_bald_of_sets
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.mixture import itemwise
from ml_backend.strategies.picks import Picks
from ml_backend.strategies.registry import STRATEGIES
from ml_backend.strategies.several import OVER_CLASSES, check_takes_sets, scored


@pytest.mark.parametrize("over", OVER_CLASSES)
@pytest.mark.parametrize("strategy", ALL)
def test_picks_are_distinct_and_as_many_as_can_be(strategy, over):
    known = replace(inputs(several=True), over_classes=over)
    for count in (1, 7, 100):
        chosen = choose(strategy, known, count)
        assert len(set(chosen.task_ids.tolist())) == len(chosen.utility) == min(count, 40)
        assert np.isfinite(chosen.utility).all()
        assert ((chosen.utility >= 0) & (chosen.utility <= 1)).all()
        assert (np.diff(chosen.utility) <= 0).all()
        told = [reason.format("a", "b", "c") for reason in chosen.reasons.values()]
        assert all(text and not text.endswith(".") for text in told)


@pytest.mark.parametrize("strategy", ALL)
def test_the_order_of_the_items_does_not_matter(strategy):
    known, order = inputs(24, several=True), np.random.default_rng(1).permutation(24)
    assert choose(strategy, known, 9).task_ids.tolist() == choose(strategy, known.take(order), 9).task_ids.tolist()


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("items", [0, 1, 2])
def test_hardly_any_items(strategy, items):
    assert len(choose(strategy, inputs(items, several=True), 5).task_ids) == items


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certain_of_all_classes_or_of_none(strategy, value):
    known = inputs(several=True)
    known = replace(known, probabilities=np.full_like(known.probabilities, value))
    chosen = choose(strategy, known, 9)
    assert len(set(chosen.task_ids.tolist())) == 9
    assert np.isfinite(chosen.utility).all()


@pytest.mark.parametrize("strategy", BATCH_AWARE)
def test_a_batch_is_not_ten_copies(strategy):
    of = np.repeat(np.arange(12), 10)
    chosen = choose(strategy, inputs(12, dims=30, of=of, several=True), 12)
    assert len(set(of[chosen.task_ids - FIRST_ID].tolist())) == 12


@pytest.mark.parametrize("over", OVER_CLASSES)
@pytest.mark.parametrize("strategy", [name for name in ALL if itemwise(name)])
def test_a_task_is_scored_alone_as_in_the_pool(strategy, over):
    known = inputs(several=True)
    p, ids, about = known.probabilities, known.task_ids, {"several": True, "over_classes": over}
    alone = [uncertainty(strategy, p[i : i + 1], ids[i : i + 1], seed=0, **about)[0] for i in range(40)]
    np.testing.assert_allclose(alone, uncertainty(strategy, p, ids, seed=0, **about), atol=1e-6)


SURE, UNSURE = 0.0, 0.5


def test_entropy_is_that_of_the_classes():
    p = np.array([[[SURE, UNSURE, SURE, SURE]], [[0.2, 0.9, 0.4, 0.4]]])
    ids = np.arange(2)
    each = scipy_entropy(np.stack([1 - p[:, 0], p[:, 0]])) / log(2)
    mean, largest = (uncertainty("entropy", p, ids, seed=0, several=True, over_classes=o) for o in OVER_CLASSES)
    np.testing.assert_allclose(mean, each.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(largest, each.max(axis=1), atol=1e-9)
    assert mean[0] < mean[1]
    assert largest[0] == 1 > largest[1], "one class in doubt, all others sure"


def test_two_certain_and_opposed_passes_about_one_class_of_two():
    p = np.array([[[0.0, 1.0], [1.0, 1.0]]])
    for strategy, most in (("bald", 1.0), ("variation_ratio", 1.0), ("dropout_entropy", 1.0)):
        got = uncertainty(strategy, p, np.arange(1), seed=0, several=True)
        assert got == pytest.approx([most / 2]), strategy
        assert uncertainty(strategy, p, np.arange(1), seed=0, several=True, over_classes="largest") == [most]


def test_margin_ratio_and_least_confidence_of_yes_and_no():
    p = np.array([[[0.5, 0.9]]])
    for strategy, values in (("margin", (1.0, 0.2)), ("ratio", (1.0, 1 / 9)), ("least_confidence", (1.0, 0.2))):
        got = uncertainty(strategy, p, np.arange(1), seed=0, several=True)
        assert got == pytest.approx([np.mean(values)]), strategy


def test_epig_is_the_information_about_each_class_of_others():
    """The first class of both items is one coin over the passes, the second is known: one bit, over two classes."""
    p = np.array([[[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]]])
    known = inputs_of(np.arange(2), 0, probabilities=p, several=True)
    np.testing.assert_allclose(scored(STRATEGIES["epig"], known), [0.5, 0.5], atol=1e-9)


def test_a_batch_of_one_class_is_that_of_yes_and_no():
    rng = np.random.default_rng(3)
    p = rng.random((30, 4, 1))
    draws = lambda row, size: np.random.default_rng(row).random(size)  # noqa: E731
    one = batch_bald(np.concatenate([1 - p, p], axis=2), 6, draws)
    assert batch_bald_of_sets(p, 6, draws).order.tolist() == one.order.tolist()


def test_a_batch_asks_about_other_classes_too():
    """Two items tell of the first class, the same; the third of the second: it comes before the copy."""
    first, second = [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], [[0.0, 0.1], [0.0, 0.9], [0.0, 0.1], [0.0, 0.9]]
    p = np.array([first, first, second])
    picks = batch_bald_of_sets(p, 3, lambda row, size: np.random.default_rng(row).random(size))
    assert picks.order.tolist() == [0, 2, 1]


def test_probabilities_that_are_none():
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(AcquisitionError, match="between 0 and 1"):
            uncertainty("entropy", np.array([[[0.2, bad]]]), np.arange(1), seed=0, several=True)


def test_a_batch_strategy_that_knows_no_sets_is_refused_and_a_score_is_asked_class_by_class():
    def pick(inputs: StrategyInputs, count: int) -> Picks:
        raise AssertionError

    batch = Strategy("w", "e", "s", "c", needs("probabilities"), pick=pick)
    with pytest.raises(AcquisitionError, match="made for one choice per answer"):
        check_takes_sets("mine", batch)
    own = Strategy("w", "e", "s", "c", needs("probabilities"), score=lambda e: e.probabilities[:, 0, 1])
    check_takes_sets("mine", own)
    known = inputs_of(np.arange(1), 0, probabilities=np.array([[[0.2, 0.6]]]), several=True)
    assert scored(own, known) == pytest.approx([0.4])
    for name in STRATEGIES:
        check_takes_sets(name, STRATEGIES[name])
