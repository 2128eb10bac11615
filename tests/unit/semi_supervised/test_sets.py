"""Learning from the pool where answers are sets: class by class over the graph, and with a model of the labels."""

import numpy as np
import pytest

from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.models.several import new_model
from ml_backend.semi_supervised.calibration import factor_for
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.semi_supervised.encoder_choice import left_out_right
from ml_backend.semi_supervised.fitter import PoolFitter, Stages
from ml_backend.semi_supervised.graph import affinity, balanced_by_class, nearest, set_mass, set_probabilities
from ml_backend.semi_supervised.shares import nearest_counts, set_rates
from ml_backend.semi_supervised.training import TrainingPool, Tuned, from_pool, likeliest, set_beliefs


def blobs(each=30):
    """Four clouds: the first class is in the first two, the second in the first and third, the last in none."""
    rng = np.random.default_rng(1)
    centres = np.array([[0, 0], [6, 0], [0, 6], [6, 6]], np.float32)
    rows = np.concatenate([centre + rng.normal(0, 0.5, (each, 2)) for centre in centres]).astype(np.float32)
    sets = np.repeat([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], each, axis=0)
    return rows, sets


def test_labels_spread_class_by_class():
    rows, sets = blobs()
    weights = affinity(nearest([rows], rows, 11))
    labelled = np.array([0, 30, 60, 90])
    given = sets[labelled]
    p = set_probabilities(set_mass(weights, labelled, given), labelled, given, np.array([0.5, 0.5, 0.3]), 16.0)
    np.testing.assert_array_equal((p >= 0.5).astype(int), sets)
    assert p[:, 2].max() == 0, "a class without a label gets nothing"
    np.testing.assert_array_equal(p[labelled], given)


def test_a_class_only_ever_used_with_another_is_a_class_of_its_own():
    rows, sets = blobs()
    weights = affinity(nearest([rows], rows, 11))
    labelled = np.array([0, 30, 90])  # the second class has been seen beside the first alone
    given = sets[labelled]
    p = set_probabilities(set_mass(weights, labelled, given), labelled, given, np.array([0.5, 0.25, 0.1]), 16.0)
    assert (p[1:30, 1] > 0.5).all()
    assert (p[31:60, 1] < 0.5).all()


def test_rates_bind_each_class_by_itself():
    rows = np.random.default_rng(0).random((500, 2)).astype(np.float32)
    found = balanced_by_class(rows, np.array([0.1, 0.7], np.float32), 16.0)
    np.testing.assert_allclose(found.mean(axis=0), [0.1, 0.7], atol=1e-3)
    np.testing.assert_allclose((found >= 0.5).mean(axis=0), [0.1, 0.7], atol=0.03)
    assert (np.diff(found[np.argsort(rows[:, 0]), 0]) >= 0).all(), "no item overtakes another"
    np.testing.assert_array_equal(balanced_by_class(rows, np.array([0.0, 1.0], np.float32))[0], [0, 1])


def test_rates_are_those_of_labels_that_chance_drew_where_these_are_worth_more():
    sets = np.repeat([[1, 0], [0, 1]], 25, axis=0)
    assert set_rates(sets[:40], np.arange(40) < 40) == pytest.approx([27.5 / 45, 17.5 / 45])
    counts = np.r_[np.full(10, 40), np.full(40, 1)]  # worth 440² / 16,040 = 12.07 labels
    by_weights = (12.07 * 415 / 440 + 2.5) / 17.07
    assert set_rates(sets, np.arange(50) < 12, counts) == pytest.approx([by_weights, 1 - by_weights], abs=1e-3)
    assert set_rates(sets, np.arange(50) >= 37, counts) == pytest.approx([2.5 / 18, 15.5 / 18])
    assert set_rates(np.zeros((0, 2), np.int64)) == pytest.approx([0.5, 0.5])


def test_a_label_counts_as_many_items_as_it_is_the_nearest_of():
    """Nine of ten labels were asked for in a corner that a tenth of the items lie in: there alone is the class."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 0.2, (900, 2)), rng.normal(5, 0.2, (100, 2))]).astype(np.float32)
    labelled = np.r_[0:10, 900:990]
    sets = np.repeat([[0, 1], [1, 1]], [10, 90], axis=0)
    counts = nearest_counts(rows, labelled)
    assert (counts[:10].sum(), counts[10:].sum()) == (900, 100)
    assert set_rates(sets)[0] > 0.85
    rates = set_rates(sets, None, counts)
    assert rates[0] < 0.3, "a tenth have it; all these are worth a few labels, so that the other class is felt"
    assert rates[1] > 0.8


def test_the_temperature_that_makes_sets_likely():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (2_000, 3))
    sets = (rng.random((2_000, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    flat = 1 / (1 + np.exp(-logits / 4))
    assert factor_for(flat, sets) == pytest.approx(4, rel=0.1)


def test_each_class_of_a_label_left_out_is_guessed():
    rows, sets = blobs()
    labelled = np.arange(0, 120, 3)
    right = left_out_right([rows], labelled, sets[labelled], 3)
    assert right.shape == (40 * 3,)
    assert right.mean() > 0.95


def test_going_on_counts_each_class():
    earlier = Earlier(lambda: "the model", "pool", np.array([1, 1]), 10)
    assert earlier.start(4, np.array([[1, 1], [1, 0]]), 10) == "the model"
    assert earlier.start(4, np.array([[1, 0], [1, 0]]), 10) is None, "a class has lost its label"


@pytest.fixture(scope="module")
def texts():
    places, things = ("in the river", "at night", "in town", "by train"), ("flood", "match", "vote", "storm", "film")
    found = [f"{thing} {place}, part {n}" for n in range(6) for place in places for thing in things]
    sets = np.array([["river" in t, "flood" in t or "storm" in t] for t in found], dtype=np.int64)
    return found, sets


def test_a_model_of_few_sets_and_a_pool(texts):
    items, sets = texts
    rows = Sentences.vectors(items, ("water", "danger"))
    weights = affinity(nearest([rows], rows, 11))
    labelled = np.arange(0, 120, 8)
    pool = TrainingPool(items, weights, sets.mean(axis=0), labelled)
    fitter = PoolFitter(
        lambda: new_model(Sentences, ("water", "danger"), multiple=True), 0, None, Stages(lambda *_: None, 3)
    )
    beliefs = set_beliefs(fitter, pool, labelled, sets[labelled])
    np.testing.assert_array_equal(beliefs[labelled], sets[labelled])
    model, report = from_pool(fitter, pool, labelled, sets[labelled], Tuned(1.0, 1.0))
    answers, weight = likeliest(model.probabilities(items)[:, 0], sets=True)
    assert (answers == sets).mean() > 0.85
    assert (weight >= 0.5).all()
    assert report.examples == 120
    alone, _ = fitter.fit(LabeledItems(items, sets).items, sets)
    assert (likeliest(alone.probabilities(items)[:, 0], sets=True)[0] == sets).mean() > 0.95
