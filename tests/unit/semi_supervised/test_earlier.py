"""Trainings that go on from the version before: when they may, how short they are, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
from support.strokes import strokes

from ml_backend.errors import ModelError
from ml_backend.models.headlines import Headlines
from ml_backend.models.mnist_cnn import MnistCnn
from ml_backend.semi_supervised.earlier import Earlier, goes_on

LABELS = ("upright", "across")
COUNTS = np.array([2, 2], dtype=np.int64)
MORE = np.array([0, 0, 1, 1, 0], dtype=np.int64)
MODEL = object()


def earlier(**changes):
    return replace(Earlier(lambda: MODEL, "pool", COUNTS, 200), **changes)


def test_a_training_goes_on_where_labels_were_only_added():
    assert earlier().start(4, MORE, 200) is MODEL
    assert earlier(in_a_row=3).start(4, MORE, 250) is MODEL
    assert earlier().start(4, MORE, 199) is MODEL  # a control task was answered


@pytest.mark.parametrize(
    ("changes", "most", "targets", "items"),
    [
        ({"in_a_row": 4}, 4, MORE, 200),
        ({}, 0, MORE, 200),
        ({"learnt_from": "labels"}, 4, MORE, 200),
        ({}, 4, MORE[1:], 200),  # none of the first class was added, and one of them taken back
        ({"counts": np.array([2, 0])}, 4, MORE, 200),  # a class has its first label
        ({}, 4, MORE, 260),
        ({}, 4, MORE, 159),
        ({"model": lambda: None}, 4, MORE, 200),  # it is damaged
    ],
)
def test_a_training_begins_anew(changes, most, targets, items):
    if len(targets) == 4:
        changes = {"counts": np.array([3, 2])}
    assert earlier(**changes).start(most, targets, items) is None


def test_what_can_go_on():
    assert goes_on(MnistCnn(LABELS), None) == 4
    assert goes_on(MnistCnn(LABELS), {"warm_starts": 0}) == 0
    assert goes_on(Headlines(LABELS), None) == 0
    with pytest.raises(ModelError, match="warm_starts must be a whole number from 0 to 100"):
        goes_on(MnistCnn(LABELS), {"warm_starts": 1.5})


def test_going_on_takes_calibration_back():
    """Else it is spent on the logits' size: on digits, four versions in a row fell from 98 to 92 %."""
    items, targets = strokes(40), np.arange(40) % 2
    first = MnistCnn(LABELS)
    first.fit(items, targets, seed=0, hyperparameters={"steps": 10})
    weights = []
    for factor in (1.0, 8.0):
        first.sharpen(factor)
        stored = MnistCnn.from_state(LABELS, *first.state())
        second = MnistCnn(LABELS)
        second.fit(items, targets, seed=1, hyperparameters={"steps": 3}, start=stored)
        assert second.state()[1]["sharpness"] == 1
        weights.append(second.state()[0])
    for name, value in weights[0].items():
        np.testing.assert_allclose(weights[1][name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused():
    items, targets = strokes(20), np.arange(20) % 2
    three = MnistCnn((*LABELS, "none"))
    three.fit(items, targets, seed=0, hyperparameters={"steps": 2})
    with pytest.raises(ModelError, match="cannot go on from a model of other classes"):
        MnistCnn(LABELS).fit(items, targets, seed=0, hyperparameters={"steps": 2}, start=three)
