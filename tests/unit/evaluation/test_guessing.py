"""A model that guesses is told from one that knows something, and from one of which nothing can be told."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from ml_backend.errors import AcquisitionError
from ml_backend.evaluation.guessing import LEVEL, guessing_verdict

TWO, THREE = ("no", "yes"), ("circle", "square", "star")


def answers(targets, share, classes, rng):
    """Probabilities that lean to the right class of a share of the items, to any of the rest."""
    named = np.where(rng.random(len(targets)) < share, targets, rng.integers(0, classes, len(targets)))
    p = np.full((len(targets), classes), 0.4 / classes)
    p[np.arange(len(targets)), named] += 0.6
    return p


def test_it_can_be_checked_by_hand():
    """Six tasks of one class, six of another; ten right against six: five are won, one is lost."""
    targets = np.array([0] * 6 + [1] * 6)
    p = np.array([[0.9, 0.1]] * 5 + [[0.2, 0.8]] + [[0.2, 0.8]] * 5 + [[0.9, 0.1]])
    verdict = guessing_verdict(p, targets, TWO)
    assert (verdict.n, verdict.right, verdict.frequent, verdict.most_frequent) == (12, 10, 6, "no")
    assert verdict.p_accuracy == pytest.approx((6 + 1) / 2**6)  # P(X >= 5), X ~ Binomial(6, 1/2)
    assert json.loads(json.dumps(asdict(verdict)))["right"] == 10


def test_forty_right_of_a_hundred_with_three_shapes_is_a_guess():
    targets = np.arange(100) % 3
    named = np.where(np.arange(100) < 40, targets, (targets + 1) % 3)
    p = np.full((100, 3), 0.3)
    p[np.arange(100), named] = 0.4
    verdict = guessing_verdict(p, targets, THREE)
    assert verdict.guessing
    assert verdict.sentence.startswith("no better than guessing: 40 of 100 answers to tasks left out are right, 34")
    assert "always saying 'circle'" in verdict.sentence
    assert "image_model" in verdict.sentence


def test_a_model_that_knows_something_is_no_guess():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 200)
    verdict = guessing_verdict(answers(targets, 0.5, 3, rng), targets, THREE)
    assert verdict.guessing is False
    assert verdict.sentence == ""


def test_a_rare_class_that_is_ranked_well_but_never_named_is_no_guess():
    targets = (np.arange(300) % 12 == 0).astype(int)
    score = np.random.default_rng(0).normal(size=300) + 1.8 * targets  # an AUC of 0.9
    yes = 0.4 / (1 + np.exp(-score))
    verdict = guessing_verdict(np.stack([1 - yes, yes], axis=1), targets, TWO)
    assert verdict.right == verdict.frequent == 275
    assert verdict.p_accuracy == 1
    assert verdict.guessing is False


def test_always_naming_the_most_frequent_class_is_a_guess():
    targets = (np.arange(300) % 12 == 0).astype(int)
    verdict = guessing_verdict(np.tile([0.9, 0.1], (300, 1)), targets, TWO)
    assert verdict.guessing


@pytest.mark.parametrize("targets", [[0, 1], [0, 0, 0], [0] * 40, [1] * 30 + [0]])
def test_of_a_few_nothing_can_be_told(targets):
    """Even of a model that has all of them right."""
    verdict = guessing_verdict(np.eye(2)[targets], np.array(targets), TWO)
    assert verdict.guessing is None
    assert verdict.sentence.startswith("too few labels to tell the model from guessing")


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("shares", ["equal", "uneven"])
def test_guesses_pass_as_seldom_as_they_say(classes, shares):
    rng = np.random.default_rng(1)
    weights = np.ones(classes) if shares == "equal" else np.arange(1, classes + 1) ** 2.0
    labels = [str(c) for c in range(classes)]
    passed = 0
    for _ in range(400):
        targets = rng.choice(classes, 60, p=weights / weights.sum())
        passed += guessing_verdict(rng.dirichlet(np.ones(classes), 60), targets, labels).guessing is False
    assert passed / 400 <= LEVEL


@pytest.mark.parametrize(
    ("p", "targets", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "one to each"),
        (np.full((2, 2), 0.5), np.array([0]), "one to each"),
        (np.full((1, 2), 0.5), np.array([2]), "from 0 to 1"),
        (np.full((1, 2), 0.7), np.array([0]), "no probability distribution"),
    ],
)
def test_bad_input(p, targets, message):
    with pytest.raises(AcquisitionError, match=message):
        guessing_verdict(p, targets, TWO)
