"""Penalty and temperature of a classifier that learns from the pool: chosen by labels left out."""

import numpy as np
import pytest
import torch

from ml_backend.encoders.photos import Photos as PhotosEncoder
from ml_backend.models.base import LabeledItems
from ml_backend.models.logistic_regression import Examples, minimise
from ml_backend.models.main_directions import main_directions, near
from ml_backend.models.photos import Photos
from ml_backend.records import no_progress
from ml_backend.semi_supervised import tuning
from ml_backend.semi_supervised.choice import fit_with_pool
from ml_backend.semi_supervised.fitter import PoolFitter, Recipe, Stages
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.semi_supervised.training import TrainingPool, Tuned, from_pool

CLASSES = 6
LABELS = tuple("abcdef")
PRIOR = np.full(CLASSES, 1 / CLASSES)


def vectors(count, seed):
    """Items whose class shows in a few of many features, the rest is noise."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(7).normal(size=(CLASSES, 8))
    targets = np.arange(count) % CLASSES
    signal = places[targets] + 0.8 * rng.normal(size=(count, 8))
    return list(np.hstack([signal, rng.normal(size=(count, 56))]).astype(np.float32)), targets


def setting(labels=36):
    items, targets = vectors(600, 0)
    known = LabeledItems(items[:labels], targets[:labels])
    unlabelled = Unlabelled(PoolEmbedding.learn(PhotosEncoder, items, seed=0), PRIOR)
    return items, known, unlabelled


def trainer(**hyperparameters):
    return PoolFitter(lambda: Photos(LABELS), 0, hyperparameters, Stages(no_progress, 1))


def accuracy(model):
    items, targets = vectors(600, 1)
    return (model.probabilities(items)[:, 0].argmax(axis=1) == targets).mean()


def test_the_penalty_that_labels_left_out_ask_for_is_about_the_best():
    items, known, unlabelled = setting()
    pool = TrainingPool.of(items, known, unlabelled)
    tuned = tuning.tune(trainer(), pool, known)
    fits = {p: from_pool(trainer(penalty=p), pool, pool.labelled, known.targets)[0] for p in (1e4, *tuning.PENALTIES)}
    found = {penalty: accuracy(model) for penalty, model in fits.items()}
    assert found[1e4] < max(found.values()) - 0.1, "here a wrong penalty costs much"
    assert found[tuned.penalty] > max(found.values()) - 0.03


def test_a_part_of_a_large_pool_stands_for_all_of_it():
    items, known, unlabelled = setting()
    pool = TrainingPool.of(items, known, unlabelled)
    part = tuning.tune(trainer(), pool, known, most=200)
    nodes = tuning.sample(pool, 0, 200)
    assert set(pool.labelled) <= set(nodes)
    assert any(part.penalty == pytest.approx(p * len(pool.items) / len(nodes)) for p in tuning.PENALTIES)


def spread_out(count, features):
    """Items that spread ever less from feature to feature, and classes by a few of these."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(count, features)) / np.arange(1, features + 1)).astype(np.float32)
    return torch.from_numpy(x), (x[:, :8] @ rng.normal(size=(8, CLASSES))).argmax(axis=1)


@pytest.mark.parametrize(("features", "wanted", "share"), [(40, 12, 0.9999), (40, 40, 0.9999), (400, 12, 0.999)])
def test_trials_go_by_the_directions_in_which_items_spread_furthest(features, wanted, share):
    x, _ = spread_out(500, features)
    found = main_directions(x, wanted)
    torch.testing.assert_close(found.T @ found, torch.eye(wanted), atol=1e-4, rtol=0)
    # No other directions keep more of what the items are (Eckart & Young 1936).
    kept = np.linalg.svd(x.numpy(), compute_uv=False)[:wanted]
    assert share < float((x @ found).square().sum()) / np.square(kept).sum() < 1.0001


@pytest.mark.parametrize("sets", [False, True])
@pytest.mark.parametrize("penalty", [1.0, 0.1, 0.0])
def test_what_a_trial_tells_shortens_the_way_to_the_same_optimum(sets, penalty):
    x, targets = spread_out(600, 200)
    examples = Examples(x, torch.eye(CLASSES)[targets], torch.ones(600, CLASSES) if sets else torch.ones(600))
    directions = main_directions(x, 20)
    along = Examples(x @ directions, examples.y, examples.weights)
    trial, _ = minimise(along.take(np.arange(0, 600, 2)), penalty / 2, 200)
    told = near(trial, along.x, directions, sets=sets)
    _, far = minimise(examples, penalty, 1000)
    _, short = minimise(examples, penalty, 1000, start=told)
    if penalty:
        assert short[-1] == pytest.approx(far[-1], rel=1e-4)
    else:  # the classes can be told apart: there is no optimum, only ever larger weights
        assert short[-1] < 1e-3
    assert len(short) < 0.8 * len(far)


def test_fewer_features_choose_the_same_penalty():
    items, known, unlabelled = setting()
    pool = TrainingPool.of(items, known, unlabelled)
    whole, part = (tuning.tune(trainer(), pool, known, directions=count) for count in (64, 32))
    assert part.penalty == whole.penalty
    assert part.factor == pytest.approx(whole.factor, rel=0.2)


def test_too_few_labels_to_leave_some_out():
    items, known, unlabelled = setting(labels=7)
    assert tuning.tune(trainer(), TrainingPool.of(items, known, unlabelled), known) == Tuned(tuning.USUAL, 1.0)


def test_a_penalty_that_somebody_set_stays():
    items, known, unlabelled = setting()
    found = fit_with_pool(
        Recipe(lambda: Photos(LABELS), seed=0, hyperparameters={"penalty": 0.37}), known, items, unlabelled
    )
    assert found.training.hyperparameters["penalty"] == 0.37
    free = fit_with_pool(Recipe(lambda: Photos(LABELS), seed=0), known, items, unlabelled)
    assert free.training.hyperparameters["penalty"] in tuning.PENALTIES


def test_probabilities_mean_about_what_they_say():
    items, known, unlabelled = setting(60)
    model = fit_with_pool(Recipe(lambda: Photos(LABELS), seed=0), known, items, unlabelled).model
    others, _ = vectors(600, 1)
    said = model.probabilities(others)[:, 0].max(axis=1).mean()
    assert abs(said - accuracy(model)) < 0.12
