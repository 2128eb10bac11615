"""Names of classes stand for labels as far as the labels bear them out, and for less as labels come."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ml_backend.encoders.gradients import Gradients
from ml_backend.encoders.sentences import MiniLm
from ml_backend.models.base import LabeledItems
from ml_backend.models.sentences import Sentences
from ml_backend.semi_supervised.choice import Fit, fit_with_pool
from ml_backend.semi_supervised.class_names import (
    embedded,
    label_probabilities_by_names,
    likeness,
    name_mass,
    strength,
)
from ml_backend.semi_supervised.fitter import Recipe
from ml_backend.semi_supervised.graph import affinity, label_mass, label_probabilities, nearest
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled

HALF = np.full(2, 0.5)
GUESSES = np.array([[3.0, 1.0], [1.0, 3.0]] * 100, np.float32)
"""Of 200 items: the first class, the second, and so on."""


def positions(labels: int) -> np.ndarray:
    """Of as many labels of each of two classes."""
    return np.arange(2 * labels)


def test_names_without_labels_count_for_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert strength(GUESSES, nothing, nothing, HALF) == 0


@pytest.mark.parametrize(("labels", "expected"), [(1, 20 / 3), (2, 10.0), (6, 15.0)])
def test_names_that_are_always_right_count_for_more_with_each_label(labels: int, expected: float) -> None:
    # (n + 1) / (n + 2), between chance (1/2) and 1, of 20 labels
    right = positions(labels)
    assert strength(GUESSES, right, right % 2, HALF) == pytest.approx(expected)


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    labelled = np.array([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])  # all like the first name
    targets = np.array([0] * 9 + [1])
    share = (10 / 11 + 1 / 3) / 2
    assert strength(GUESSES, labelled, targets, HALF) == pytest.approx(20 * (share - 0.5) / 0.5)


def test_names_that_guess_wrong_change_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    weights = affinity(nearest([rows], rows, 6))
    labelled = positions(3)
    targets = 1 - labelled % 2
    assert strength(GUESSES, labelled, targets, HALF) == 0
    mass = label_mass(weights, labelled, targets, 2)
    found = label_probabilities_by_names(mass, GUESSES, labelled, targets, HALF)
    assert np.array_equal(found, label_probabilities(mass, labelled, targets, HALF))


def test_labels_outweigh_names() -> None:
    weights = [strength(GUESSES, positions(n), positions(n) % 2, HALF) / n for n in (1, 5, 20, 80)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < 0.25


def test_an_item_between_two_labels_goes_by_the_names() -> None:
    """Two labels far away, alike for all: what is left are the names."""
    mass = np.ones((200, 2), np.float32)
    found = label_probabilities_by_names(mass, GUESSES, np.array([0, 1]), np.array([0, 1]), HALF)
    assert (found.argmax(axis=1) == np.arange(200) % 2).all()
    assert found[0].tolist() == [1, 0]
    assert 0.5 < found[2, 0] < 0.75  # not so sure as the names alone
    assert found.sum(axis=1) == pytest.approx(np.ones(200))


@pytest.mark.parametrize(("labels", "expected"), [(14, 1 / 3), (15, 0.0)])
def test_a_class_without_a_label_is_expected_for_five_labels_a_class(labels: int, expected: float) -> None:
    third = np.full(3, 1 / 3)
    guesses = np.tile(np.eye(3, dtype=np.float32) + 0.1, (50, 1))
    labelled = np.flatnonzero(np.arange(150) % 3 < 2)[:labels]  # none of the third
    found = label_probabilities_by_names(np.ones((150, 3), np.float32), guesses, labelled, labelled % 3, third)
    assert found[:, 2].mean() == pytest.approx(expected, abs=0.04)


SENTENCES = [
    [f"The {who} won the {what}" for who in ("striker", "goalkeeper", "team") for what in ("match", "cup", "final")],
    [
        f"{how} the {what} for ten minutes"
        for how in ("Fry", "Boil", "Bake")
        for what in ("onions", "pasta", "potatoes")
    ],
    [f"{what} {when}" for what in ("Heavy rain", "Snow", "Strong wind") for when in ("tonight", "today", "at noon")],
]
TEXTS = [text for of_one in zip(*SENTENCES, strict=True) for text in of_one]
KNOWN = LabeledItems([TEXTS[0], TEXTS[1]], np.array([0, 1]))
NAMES = ("sport", "cooking", "weather")


def fitted(names: tuple[str, ...] | None) -> Fit:
    """A model of two labels and a pool of texts, nothing labelled of the third class."""
    embedding = PoolEmbedding.learn(MiniLm, TEXTS, seed=0)
    vectors = None if names is None else embedded(embedding.encoder, names)
    unlabelled = Unlabelled(embedding, np.full(3, 1 / 3), names=vectors)
    settings = {"encoder": "minilm"}
    return fit_with_pool(Recipe(lambda: Sentences(NAMES), seed=0, hyperparameters=settings), KNOWN, TEXTS, unlabelled)


def right(found: Fit) -> np.ndarray:
    """Share of each class's texts that a model finds ``[3]``."""
    answers = found.model.probabilities(TEXTS)[:, 0].argmax(axis=1)
    return np.asarray([(answers[c::3] == c).mean() for c in range(3)])


def test_a_model_finds_a_class_by_its_name_before_anybody_labels_one() -> None:
    with_names, without = fitted(NAMES), fitted(None)
    assert right(without)[2] == 0
    assert right(with_names)[2] > 0.5
    assert "the classes' names count as" in with_names.reason
    assert "names" not in without.reason


def test_names_in_the_wrong_places_are_found_out() -> None:
    misnamed = fitted(("cooking", "sport", "weather"))
    assert "count as 0 labels" in misnamed.reason
    assert right(misnamed).tolist() == right(fitted(None)).tolist()


def test_the_nearest_description_has_the_most_mass() -> None:
    embedding = PoolEmbedding.learn(MiniLm, TEXTS, seed=0)
    vectors = embedded(embedding.encoder, NAMES)
    assert vectors is not None
    mass = name_mass(embedding.weights, embedding.rows, vectors)
    assert (mass.argmax(axis=1) == np.arange(len(TEXTS)) % 3).mean() > 0.8
    assert mass.min() >= 0


def test_of_a_large_pool_no_vectors_are_copied() -> None:
    """Each copy of 100,000 vectors is some hundred megabytes."""
    rows = np.random.default_rng(0).normal(size=(4_000, 512)).astype(np.float16)
    names = rows[:3].astype(np.float32)
    tracemalloc.start()
    found = likeness(rows, names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes / 2
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(found, 20 * unit @ unit[:3].T, atol=1e-4)


def test_pictures_have_no_names() -> None:
    pictures = [np.full((28, 28), value, np.uint8) for value in range(4)]
    assert embedded(Gradients.learn(pictures, seed=0), NAMES) is None
