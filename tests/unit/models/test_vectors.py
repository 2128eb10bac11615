"""Vectors of any origin as items: what is read, what is left out, and what is learnt of them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.encoders.vectors import Vectors as Centring
from ml_backend.errors import BadItemError, ModelError
from ml_backend.models.torch_classifier import AT_ONCE
from ml_backend.models.vectors import LONGEST, Vectors, numbers, read_parts

CLASSES = ("a", "b")


def clouds(count=40, dims=6, seed=0):
    """Two clouds, far from 0, and which one each point is of."""
    draws = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    points = draws.normal(0, 0.1, (count, dims)) + 3.0
    points[:, 0] += targets * 2.0
    return [row.astype(np.float32) for row in points], targets.astype(np.int64)


def test_two_clouds_are_told_apart_and_stored_weights_say_the_same():
    items, targets = clouds()
    model = Vectors(CLASSES)
    report = model.fit(items[:20], targets[:20], seed=0)
    found = model.probabilities(items[20:])
    assert (found.mean(axis=1).argmax(axis=1) == targets[20:]).all()
    assert report.examples == 20
    again = Vectors.from_state(CLASSES, *model.state())
    np.testing.assert_allclose(again.probabilities(items[20:]), found, atol=1e-6)
    assert model.state()[1]["dimensions"] == 6
    passes = model.probabilities(items[:3], samples=4, seed=1)
    assert passes.shape == (3, 4, 2)


def test_a_large_pool_is_embedded_some_items_at_a_time():
    """All at once would be some hundred megabytes; what is said of an item does not depend on it."""
    items, targets = clouds(4 * AT_ONCE + 100, dims=64)
    model = Vectors(CLASSES)
    model.fit(items[:20], targets[:20], seed=0)
    whole = model.feature_probabilities(model.embed(items), samples=2, seed=1)
    tracemalloc.start()
    found = model.probabilities(items, samples=2, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, whole)
    assert peak < 4 * AT_ONCE * 64 * 4, "all of them, once"


def test_vectors_of_another_length_are_told():
    items, targets = clouds()
    model = Vectors(CLASSES)
    model.fit(items, targets, seed=0)
    with pytest.raises(ModelError, match="learnt from 6 numbers an item, and now there are 4; train again"):
        model.probabilities([item[:4] for item in items])


def test_numbers_are_a_vector_of_length_1():
    np.testing.assert_allclose(numbers([3, 4]), [0.6, 0.8])
    np.testing.assert_allclose(numbers([0, 0.0]), [0, 0])
    np.testing.assert_allclose(Vectors.read_item("[0, 2.5]"), [0, 1])


@pytest.mark.parametrize(
    "value",
    [None, [], {}, "1,2", 7, [1, None], [1, "2"], [True, 1], [float("nan")], [float("inf")], [1e300], [[1]], [10**400]],
)
def test_what_is_no_vector_is_told(value):
    with pytest.raises(BadItemError, match="field holds"):
        numbers(value)


def test_a_vector_too_long():
    with pytest.raises(BadItemError, match="16,385 numbers; at most 16,384"):
        numbers([1.0] * (LONGEST + 1))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_any_numbers_are_finite_and_of_length_1_or_0(value):
    length = float(np.linalg.norm(numbers(value)))
    assert length == pytest.approx(1, abs=1e-5) or length < 1e-30 or max(map(abs, value)) < 1e-30


def test_parts_stand_side_by_side_and_one_that_cannot_be_read_leaves_its_task_out():
    raws = [
        [("Numbers", ([3, 4], "x")), ("Numbers", ([5], "y"))],
        [("Numbers", ([1, 1], "x")), ("Numbers", (None, "y"))],
    ]
    first, second = read_parts(raws, "")
    np.testing.assert_allclose(first, [0.6, 0.8, 1.0])
    assert isinstance(second, BadItemError)
    assert "y holds no list" in str(second)
    assert read_parts([], "") == []


def test_a_picture_that_is_none_leaves_its_task_out(picture):
    read = read_parts([[("Images", [picture, picture])], [("Images", [picture, b"no picture"])]], "")
    (alone,) = read_parts([[("Image", picture)]], "")
    np.testing.assert_allclose(read[0], alone, atol=1e-3)
    assert isinstance(read[1], BadItemError)


@pytest.fixture
def picture():
    """A small picture, where the encoder of pictures is installed."""
    from io import BytesIO

    from PIL import Image

    from ml_backend.encoders import picture_vectors

    if picture_vectors.missing(picture_vectors.LITE0):
        pytest.skip("no encoder of pictures")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return kept.getvalue()


def test_the_embedding_takes_away_what_all_have_in_common():
    items, _ = clouds()
    encoder = Centring.learn(items, seed=0)
    rows = encoder.embed(items)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert encoder.length == 6
    np.testing.assert_allclose(Centring.from_state(*encoder.state()).embed(items), rows)
    with pytest.raises(ModelError, match="vectors: items must be vectors of 6 numbers"):
        encoder.embed([np.zeros(3, np.float32)])
    with pytest.raises(ModelError, match="vectors has no options"):
        Centring.learn(items, seed=0, options={"rotation": 1.0})
