"""Learning from the pool where answers are sets: class by class over the graph, and with a model of the labels."""

import numpy as np
import pytest

from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.models.several import answers_of, new_model
from ml_backend.semi_supervised.calibration import factor_for
from ml_backend.semi_supervised.earlier import Earlier
from ml_backend.semi_supervised.encoder_choice import left_out_right
from ml_backend.semi_supervised.fitter import PoolFitter, Stages
from ml_backend.semi_supervised.graph import affinity, nearest
from ml_backend.semi_supervised.set_spreading import MOST, balanced_by_class, set_mass, set_name_mass, set_probabilities
from ml_backend.semi_supervised.shares import nearest_counts, set_rates
from ml_backend.semi_supervised.training import TrainingPool, Tuned, from_labels, from_pool, likeliest, set_beliefs


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


def named():
    """A graph, labels of three clouds, and what the names say of each class: the last one is like the fourth cloud."""
    rows, sets = blobs()
    sets[90:, 2] = 1
    weights = affinity(nearest([rows], rows, 11))
    names = np.array([[6, 1], [1, 6], [9, 9]], np.float32)
    rates = np.array([0.5, 0.5, 0.25])
    return rows, sets, weights, set_name_mass(weights, rows, names, rates), rates


def test_a_class_without_a_label_is_found_by_its_name_while_labels_are_few():
    _, sets, weights, names, rates = named()
    few, many = np.array([0, 30, 60]), np.r_[0:8, 30:38, 60:68]
    for labelled, found in ((few, True), (many, False)):
        given = sets[labelled]
        p = set_probabilities(set_mass(weights, labelled, given), labelled, given, rates, 16.0, names)
        assert (p[90:, 2] > 0.5).all() if found else p[:, 2].max() == 0, len(labelled)
        assert (p[:90, 2] < 0.5).all()
        np.testing.assert_array_equal(p[labelled], given)


def test_a_name_counts_as_one_label():
    """Three labels of each kind outweigh names that are wrong."""
    rows, sets, weights, _, rates = named()
    wrong = set_name_mass(weights, rows, np.array([[0, 9], [9, 0], [0, 0]], np.float32), rates)
    labelled = np.r_[0:3, 30:33, 60:63, 90:93]
    given = sets[labelled]
    p = set_probabilities(set_mass(weights, labelled, given), labelled, given, rates, 16.0, wrong)
    np.testing.assert_array_equal((p >= 0.5).astype(int), sets)


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


def test_of_many_items_an_even_part_is_brought_to_the_rate():
    rows = np.random.default_rng(3).random((3 * MOST, 1)).astype(np.float32)
    found = balanced_by_class(rows, np.array([0.2], np.float32), 4.0)
    assert found[::3].mean() == pytest.approx(0.2, abs=1e-4)
    assert found.mean() == pytest.approx(0.2, abs=0.01)


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


def test_a_model_of_the_labels_alone_puts_no_class_without_a_label_into_a_set(texts):
    """By its name the pool's model finds it; the other says the same of it about all items, and must not say yes."""
    items, sets = texts
    rows = Sentences.vectors(items, ("water", "danger"))
    weights = affinity(nearest([rows], rows, 11))
    labelled = np.flatnonzero(sets[:, 1] == 0)[::9]
    names = set_name_mass(
        weights, rows, Sentences.vectors(["river", "flood and storm"], ("water", "danger")), sets.mean(axis=0)
    )
    pool = TrainingPool(items, weights, sets.mean(axis=0), labelled, names)
    known = LabeledItems([items[i] for i in labelled], sets[labelled])
    fitter = PoolFitter(
        lambda: new_model(Sentences, ("water", "danger"), multiple=True), 0, None, Stages(lambda *_: None, 3)
    )
    by_labels, _ = from_labels(fitter, known, pool)
    assert not answers_of(by_labels, by_labels.probabilities(items)[:, 0])[:, 1].any()
    by_pool, _ = from_pool(fitter, pool, labelled, known.targets, Tuned(1.0, 1.0))
    found = answers_of(by_pool, by_pool.probabilities(items)[:, 0])[:, 1]
    assert (found == sets[:, 1]).mean() > 0.8
