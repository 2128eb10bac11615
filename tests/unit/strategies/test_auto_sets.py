"""The strategy auto where answers are sets: half of a batch covers the pool, half is in doubt."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ml_backend.semi_supervised.graph import Neighbourhood, affinity, coordinates, nearest
from ml_backend.strategies.auto_phases import explain
from ml_backend.strategies.auto_sets import auto_of_sets
from ml_backend.strategies.telling import in_doubt

GROUPS = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [20, 0], [20, 10]], dtype=np.float64)
EACH = 20


@pytest.fixture
def graph():
    """Six groups on a plane. The first two have labels: both classes there, and none of them."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(centre, 0.5, (EACH, 2)) for centre in GROUPS]).astype(np.float32)
    weights = affinity(nearest([rows], rows, 9))
    labelled = np.array([0, 1, 2, 20, 21, 22])
    targets = np.repeat([[1, 1], [0, 0]], 3, axis=0)
    left = np.setdiff1d(np.arange(len(rows)), labelled)
    return Neighbourhood(weights, partial(coordinates, weights), left, labelled, targets, np.full(2, 0.5))


def test_every_second_pick_meets_a_group_without_a_label(graph):
    picks = auto_of_sets(graph, 8, np.random.default_rng(0))
    assert len(set(picks.order.tolist())) == 8
    assert set(graph.open[picks.order[1::2]] // EACH) == {2, 3, 4, 5}


def test_the_first_of_the_others_is_where_graph_and_model_disagree(graph):
    nodes = np.arange(len(GROUPS)).repeat(2) * EACH + np.tile([0, 1], len(GROUPS))
    rest = np.setdiff1d(np.arange(len(GROUPS) * EACH), nodes)
    targets = np.array([[1, 1], [0, 0], [0, 1], [1, 0], [1, 1], [0, 0]])
    model = targets[rest // EACH].astype(np.float32)
    model[rest // EACH == 3] = [1, 0.9]  # people say that its second class is not there
    known = replace(graph, open=rest, labelled=nodes, targets=targets.repeat(2, axis=0), model=model)
    picks = auto_of_sets(known, 8, np.random.default_rng(0))
    assert rest[picks.order[0]] // EACH == 3
    assert picks.reasons[int(picks.order[0])] == "most in doubt: {1}, under 1% by items like it, 90% by the model"


def test_no_two_in_doubt_are_neighbours(graph):
    picks = auto_of_sets(graph, 6, np.random.default_rng(0))
    nodes = graph.open[picks.order]
    assert graph.weights[nodes][:, nodes].nnz == 0


def test_doubt_is_the_mean_or_the_largest_entropy_of_a_class(graph):
    beliefs = np.zeros((graph.weights.shape[0], 2), np.float32)
    beliefs[: 2 * EACH, 0] = 0.5
    whole = in_doubt(beliefs, graph.weights, "largest")
    np.testing.assert_allclose(in_doubt(beliefs, graph.weights, "mean")[:EACH], whole[:EACH] / 4, rtol=1e-3)
    assert whole[2 * EACH :].max() < 1e-6


def test_what_it_asks_is_told():
    assert explain(30, 3, 3, sets=True) == (
        "auto: typical items of groups with few labels, and items in doubt about their classes (30 labels)"
    )
