"""The neighbour graph, and labels spread over it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.semi_supervised.graph import affinity, coordinates, label_mass, label_probabilities, nearest, propagate

TWO = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]], np.float32)
"""Two groups of three on a line."""
EVEN = np.full(2, 0.5)


def graph_of(rows, count=3):
    return affinity(nearest([rows], rows, count))


def spread_over(weights, labelled, targets, prior):
    labelled, targets = np.asarray(labelled), np.asarray(targets)
    return label_probabilities(label_mass(weights, labelled, targets, len(prior)), labelled, targets, prior)


@st.composite
def problems(draw):
    """Rows, some labelled positions, their classes, and a prior."""
    count = draw(st.integers(3, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    classes = draw(st.integers(2, 4))
    rows = rng.normal(size=(count, 3)).astype(np.float32)
    rows[rng.integers(count)] = rows[0]  # a copy
    labelled = rng.permutation(count)[: draw(st.integers(1, count))]
    return rows, labelled, rng.integers(0, classes, len(labelled)), rng.dirichlet(np.ones(classes) * 5)


def test_neighbours_are_those_of_the_closest_view():
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]], np.float32)
    near, gaps = nearest([rows, rows + np.array([0.0, 3.0], np.float32)], rows, 1)
    assert near[0, 0] in (0, 2)  # itself, or what its second view shows
    assert gaps[0, 0] == pytest.approx(0)
    near, gaps = nearest([rows + np.array([0.0, 2.9], np.float32)], rows, 2)
    assert near[0].tolist() == [2, 0]
    assert gaps[0] == pytest.approx([0.01, 8.41], abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 400), st.integers(1, 12))
def test_neighbours_are_those_of_brute_force(seed, items, count):
    rng = np.random.default_rng(seed)
    rows, queries = rng.normal(size=(items, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    near, gaps = nearest([queries], rows, count)
    exact = np.square(queries[:, None] - rows[None]).sum(axis=2)
    assert near.shape == (5, min(count, items))
    np.testing.assert_allclose(gaps, np.sort(exact, axis=1)[:, :count], atol=1e-4)


def test_one_label_a_group_tells_the_group():
    found = spread_over(graph_of(TWO), [1, 5], [0, 1], EVEN)
    assert found.argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]
    assert found.min() >= 0
    np.testing.assert_array_equal(found[[1, 5]], np.eye(2))


def test_influence_solves_the_linear_system_and_adds_up():
    weights = graph_of(np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), 5)
    sources = np.zeros((40, 2), np.float32)
    sources[3, 0] = sources[7, 1] = 1.0
    exact = np.linalg.solve(np.eye(40) - 0.99 * weights.toarray().astype(np.float64), sources)
    np.testing.assert_allclose(propagate(weights, sources), exact, rtol=2e-3, atol=1e-4)
    both = propagate(weights, sources.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(both[:, 0], propagate(weights, sources).sum(axis=1), rtol=2e-3, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(problems())
def test_rows_are_probabilities_and_labelled_items_keep_their_labels(problem):
    rows, labelled, targets, prior = problem
    found = spread_over(graph_of(rows), labelled, targets, prior)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-4)
    np.testing.assert_array_equal(found[labelled].argmax(axis=1), targets)
    assert (found[:, np.setdiff1d(np.arange(len(prior)), targets)] == 0).all(), "classes without a label get nothing"


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 10_000))
def test_another_order_of_the_items_gives_the_same_beliefs(problem, seed):
    rows, labelled, targets, prior = problem
    order = np.random.default_rng(seed).permutation(len(rows))
    place = np.argsort(order)
    weights = graph_of(rows, len(rows))  # all of them: which of two equally near ones is taken is no question
    shuffled = weights[order][:, order]
    before = spread_over(weights, labelled, targets, prior)
    after = spread_over(shuffled, place[labelled], targets, prior)
    np.testing.assert_allclose(after, before[order], atol=2e-3)


def test_totals_follow_the_prior():
    rows = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    prior = np.array([0.9, 0.1])
    found = spread_over(graph_of(rows, 8), [0, 1], [0, 1], prior)
    np.testing.assert_allclose(found.mean(axis=0), prior, atol=0.02)


def test_an_item_that_no_label_reaches_gets_the_prior():
    found = spread_over(graph_of(TWO, 3), [0, 1], [0, 1], np.array([0.8, 0.2]))
    np.testing.assert_allclose(found[3:], found[3:4].repeat(3, axis=0), atol=1e-6)


@pytest.mark.parametrize("rows", [np.zeros((1, 2), np.float32), np.zeros((50, 2), np.float32)])
def test_one_item_and_copies_of_one_do_not_break_it(rows):
    weights = graph_of(rows)
    assert np.isfinite(weights.toarray()).all()
    assert spread_over(weights, [0], [1], EVEN)[0].tolist() == [0.0, 1.0]
    assert np.isfinite(coordinates(weights)).all()


def test_coordinates_of_one_group_point_one_way():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 0.1, (40, 2)), rng.normal(9, 0.1, (40, 2))]).astype(np.float32)
    found = coordinates(graph_of(rows, 6))
    cosine = found @ found.T
    assert cosine[:40, :40].mean() > cosine[:40, 40:].mean() + 0.1
    np.testing.assert_array_equal(found, coordinates(graph_of(rows, 6)))


def test_known_shares_bind_the_likeliest_classes_at_a_high_power():
    """Six of ten lean to one class, four to the other, none by much: soft sums of 0.7 and 0.3 make all of the first."""
    mass = np.array([[0.52, 0.48]] * 6 + [[0.48, 0.52]] * 4, np.float32)
    labelled, targets, shares = np.array([0, 9]), np.array([0, 1]), np.array([0.7, 0.3])
    loosely = label_probabilities(mass, labelled, targets, shares)
    firmly = label_probabilities(mass, labelled, targets, np.array([0.6, 0.4]), power=16.0)
    assert (loosely[1:9].argmax(axis=1) == 0).all()
    assert firmly.argmax(axis=1).tolist() == [0] * 6 + [1] * 4
    np.testing.assert_allclose(firmly.sum(axis=1), 1, atol=1e-5)
    alike = label_probabilities(mass, labelled, targets, np.array([0.6, 0.4]), power=1e4)
    assert np.isfinite(alike).all()


def test_of_a_large_pool_no_vectors_are_copied():
    """Each copy of 100,000 vectors is some hundred megabytes."""
    rows = np.random.default_rng(0).normal(size=(2_000, 512)).astype(np.float32)
    nearest([rows[:10]], rows[:10], 3)  # imports
    tracemalloc.start()
    nearest([rows], rows, 11)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes / 2
