"""What every registered model does with answers of several choices: sets of classes, the empty one among them."""

import numpy as np
import pytest
from support.examples import EXAMPLES, FAST, LABELS, those_of
from support.plugin.example_plugin.naive_bayes import NaiveBayes

from ml_backend.errors import ModelError
from ml_backend.models.base import LabeledItems
from ml_backend.models.registry import MODELS
from ml_backend.models.several import answers_of, new_model, takes_sets, thresholds_of

SETS = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 1]])
"""Of the three kinds of items: the first class is only ever used with the last, the second never, and one is empty."""


@pytest.fixture(scope="module", params=sorted(MODELS))
def case(request):
    items, kinds = EXAMPLES[request.param](24)
    model = new_model(MODELS[request.param], LABELS, multiple=True)
    report = model.fit(items, SETS[kinds], seed=3, hyperparameters=those_of(MODELS[request.param], FAST))
    return items, SETS[kinds], model, report


def test_it_learns_sets_and_each_class_by_itself(case):
    items, targets, model, report = case
    p = model.probabilities(items)[:, 0]
    assert p.shape == targets.shape
    assert ((p >= 0) & (p <= 1)).all()
    assert (answers_of(model, p) == targets).mean() > 0.9
    assert report.examples == 24
    assert takes_sets(model)


def test_passes_are_sets_of_probabilities_too(case):
    items, _, model, _ = case
    p = model.probabilities(items, samples=50, seed=1)
    assert p.shape == (24, 50, 3)
    odds = np.log(p / (1 - p))  # a model that is sure of all moves its probabilities little
    assert np.ptp(odds, axis=1).max() > 0.1
    np.testing.assert_allclose(p.mean(axis=1), model.probabilities(items)[:, 0], atol=0.15)


def test_what_is_stored_answers_alike(case):
    items, _, model, _ = case
    model.thresholds = np.array([0.2, 0.5, 0.7])
    again = type(model).from_state(LABELS, *model.state())
    model.thresholds = None
    np.testing.assert_array_equal(again.probabilities(items), model.probabilities(items))
    assert takes_sets(again)
    assert thresholds_of(again).tolist() == [0.2, 0.5, 0.7]
    assert thresholds_of(model).tolist() == [0.5, 0.5, 0.5]


def test_held_out_sets_are_only_looked_at(case):
    items, targets, model, report = case
    watched = new_model(type(model), LABELS, multiple=True)
    validation = LabeledItems(items[:9], targets[:9])
    fast = those_of(type(model), FAST)
    told = watched.fit(items, targets, seed=3, hyperparameters=fast, validation=validation)
    assert told.loss == report.loss
    assert told.validation is None or told.validation.items <= 9


def test_sharper_is_farther_from_one_half_and_answers_alike(case):
    items, _, model, _ = case
    again = type(model).from_state(LABELS, *model.state())
    again.sharpen(2.0)
    before, after = (abs(m.probabilities(items)[:, 0] - 0.5) for m in (model, again))
    assert (after >= before - 1e-6).all()


def test_beliefs_between_no_and_yes_are_learnt_from(case):
    items, targets, model, _ = case
    soft = new_model(type(model), LABELS, multiple=True)
    soft.fit(items, np.abs(targets - 0.1).astype(np.float32), seed=3, hyperparameters=those_of(type(model), FAST))
    assert (answers_of(soft, soft.probabilities(items)[:, 0]) == targets).mean() > 0.9


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (np.zeros(24, np.int64), r"shape \(24, 3\)"),
        (np.full((24, 3), 2), "between 0 and 1"),
        (np.full((24, 3), np.nan), "between 0 and 1"),
        (np.zeros((24, 2)), r"shape \(24, 3\)"),
    ],
)
def test_targets_that_are_no_sets(case, targets, reason):
    items, _, model, _ = case
    with pytest.raises(ModelError, match=reason):
        new_model(type(model), LABELS, multiple=True).fit(items, targets, seed=0)


def test_a_model_that_takes_one_choice_says_what_to_do():
    with pytest.raises(ModelError, match="name another model"):
        new_model(NaiveBayes, LABELS, multiple=True)
