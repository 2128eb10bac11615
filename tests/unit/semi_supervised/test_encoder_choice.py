"""Encoders are chosen by how well each label is guessed from the others, with hysteresis."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.semi_supervised.encoder_choice import best_encoder, left_out_right


def clustered(classes: NDArray[np.int64], spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Rows around a centre of each class."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(int(classes.max()) + 1, 16))
    return np.asarray(centres[classes] + spread * draws.normal(size=(len(classes), 16)), dtype=np.float32)


def test_labels_in_clusters_are_guessed_and_those_in_noise_are_not() -> None:
    classes = np.arange(200) % 4
    labelled = np.arange(40)
    good = left_out_right([clustered(classes, 0.3)], labelled, classes[:40], 4)
    noise = left_out_right([clustered(classes, 50.0)], labelled, classes[:40], 4)
    assert good.mean() > 0.95
    assert noise.mean() < 0.6


def test_a_label_does_not_tell_itself() -> None:
    classes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    rows = clustered(classes, 0.1)
    swapped = classes.copy()
    swapped[0] = 1  # alone among the others
    right = left_out_right([rows], np.arange(8), swapped, 2)
    assert not right[0]


def test_the_only_label_of_a_class_is_never_right() -> None:
    classes = np.arange(100) % 2
    targets = np.array([0, 0, 0, 1])
    positions = np.array([0, 2, 4, 1])
    right = left_out_right([clustered(classes, 0.1)], positions, targets, 2)
    assert right.tolist() == [True, True, True, False]


def test_the_largest_class_gains_nothing_by_its_size() -> None:
    classes = np.array([0] * 90 + [1] * 10)
    right = left_out_right([clustered(classes, 0.2)], np.arange(0, 100, 2), classes[::2], 2)
    assert right[-5:].all()


def test_a_class_of_hubs_does_not_win_everywhere() -> None:
    draws = np.random.default_rng(1)
    classes = np.array([0] * 94 + [1] * 6)
    rows = draws.normal(size=(400, 16)).astype(np.float32)
    rows[94:100] *= 0.1  # in the middle: near to all others
    right = left_out_right([rows], np.arange(100), classes, 2)
    assert right[:94].mean() > 0.25  # in noise half are right at best; by plain means of mass hardly one is


A, B, C = np.arange(40) < 30, np.arange(40) < 31, np.arange(40) < 38


@pytest.mark.parametrize(
    ("in_use", "expected"),
    [
        (None, "ahead"),  # nothing measured before: most right
        ("ahead", "ahead"),
        ("first", "ahead"),  # eight labels more, none less: clear
        ("little ahead", "ahead"),
        ("gone", "ahead"),
    ],
)
def test_the_best_encoder_wins(in_use: str | None, expected: str) -> None:
    assert best_encoder({"first": A, "little ahead": B, "ahead": C}, in_use) == expected


def test_an_encoder_in_use_stays_until_another_is_clearly_better() -> None:
    assert best_encoder({"first": A, "little ahead": B}, None) == "little ahead"
    assert best_encoder({"first": A, "little ahead": B}, "first") == "first"


def test_of_several_rivals_the_luckiest_must_be_further_ahead() -> None:
    """Five labels more and none less: by chance one in 32 rivals is so lucky, and one of three in eleven."""
    right = {"first": A, "ahead": np.arange(40) < 35}
    assert best_encoder(right, "first") == "ahead"
    assert best_encoder(right | {"second": A, "third": B}, "first") == "first"
    assert best_encoder(right | {"second": A, "third": np.arange(40) < 36}, "first") == "third"


def test_of_equals_the_first_is_used() -> None:
    assert best_encoder({"first": A, "second": A}, None) == "first"


def test_classes_of_one_set_are_one_comparison() -> None:
    """Three sets with five classes more each are three items, not fifteen."""
    used = np.zeros((20, 5), np.bool_)
    few, many = used.copy(), used.copy()
    few[:3] = True
    many[:5, 0] = True
    assert best_encoder({"first": used, "few": few}, "first") == "first"
    assert best_encoder({"first": used, "many": many}, "first") == "many"
    assert best_encoder({"first": used, "few": few}, None) == "few"
