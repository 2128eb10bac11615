"""One pass finds exactly what would be found with the whole pool in memory."""

import numpy as np
import pytest
from support.row_pools import DIMENSIONS, Sigmoids, Softmax, Weighed, a_pool, in_groups

from ml_backend.draws import draws_for
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.rows import Rows
from ml_backend.pool.scoring import NEAREST, Search, Top, Wanted, one_pass
from ml_backend.pool.utility import Head
from ml_backend.selection.control_arm import control_order
from ml_backend.selection.ordering import rank, uncertainty
from ml_backend.strategies.mixture import itemwise, needs
from ml_backend.strategies.registry import STRATEGIES


def wanted(**changes):
    return Wanted(**{"best": 50, "drawn": 20, "strategy": "entropy", "seed": 3, **changes})


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if itemwise(name)])
@pytest.mark.parametrize("batch", [1000, 137, 10])
def test_the_best_are_the_top_of_all_in_memory(strategy, batch):
    ids, vectors = a_pool()
    samples = 5 if "samples" in needs(strategy) else 1
    found = one_pass(in_groups(ids, vectors, batch), wanted(strategy=strategy, samples=5), Softmax())
    keys = row_keys(ids)
    values = uncertainty(strategy, Softmax().probabilities(vectors, samples=samples, seed=3), keys, seed=3)
    expected = rank(values, keys, seed=3, count=50)
    assert found.best is not None
    assert found.best.ids.tolist() == [ids[place] for place in expected]
    assert found.rows == 1000


@pytest.mark.parametrize("over", ["mean", "largest"])
def test_of_sets_the_best_are_those_whose_classes_are_in_doubt(over):
    ids, vectors = a_pool()
    found = one_pass(in_groups(ids, vectors, 137), wanted(over_classes=over), Sigmoids())
    p, keys = Sigmoids().probabilities(vectors)[:, 0].astype(np.float64), row_keys(ids)
    binary = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    values = binary.max(axis=1) if over == "largest" else binary.mean(axis=1)
    first = np.argsort(-values, kind="stable")[:200]
    assert found.best is not None
    places = [ids.index(name) for name in found.best.ids.tolist()]
    assert set(places) <= set(first.tolist())
    assert values[places] == pytest.approx(np.sort(values)[::-1][:50], abs=1e-6)
    assert len(set(keys[places].tolist())) == 50


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 3.0), (0.0, 1.0)])
def test_of_several_questions_the_weighted_mean_counts(weights):
    ids, vectors = a_pool()
    other = Softmax(seed=5)
    found = one_pass(in_groups(ids, vectors, 300), wanted(), Weighed(weights[0], (other, weights[1])))
    keys = row_keys(ids)
    parts = [uncertainty("entropy", head.probabilities(vectors), keys, seed=3) for head in (Softmax(), other)]
    mean = (weights[0] * parts[0] + weights[1] * parts[1]) / sum(weights)
    assert found.best is not None
    assert found.best.ids.tolist() == [ids[place] for place in rank(mean, keys, seed=3, count=50)]


def test_a_strategy_of_the_whole_pool_has_its_stand_in():
    ids, vectors = a_pool()
    found = [
        one_pass(in_groups(ids, vectors, 300), wanted(strategy=name), Softmax()).best for name in ("auto", "entropy")
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].ids.tolist() == found[1].ids.tolist()


def test_the_sample_is_the_head_of_the_control_order_of_all_that_are_no_tasks():
    ids, vectors = a_pool()
    keys = row_keys(ids)
    taken = np.sort(control_order(keys, 3, 5))
    found = one_pass(in_groups(ids, vectors, 100), wanted(taken=taken), None)
    assert found.best is None
    assert found.drawn is not None
    assert found.random is not None
    assert found.drawn.keys.tolist() == control_order(keys, 3, 25)[5:].tolist()
    left = keys[~np.isin(keys, taken)]
    assert found.random.keys.tolist() == left[np.argsort(-draws_for(left, 3))[:20]].tolist()


def test_neighbours_are_the_nearest_of_all():
    ids, vectors = a_pool()
    items = np.random.default_rng(1).normal(size=(4, DIMENSIONS)).astype(np.float32)
    found = one_pass(in_groups(ids, vectors, 90), wanted(near=items), None)
    for item, near in zip(items, found.near, strict=True):
        gaps = np.square(vectors.astype(np.float64) - item).sum(axis=1)
        assert near is not None
        assert len(near) == NEAREST
        own = np.square(near.vectors.astype(np.float64) - item).sum(axis=1)
        assert own == pytest.approx(np.sort(gaps)[:NEAREST])


def test_known_rows_come_back_with_their_vectors_but_not_those_that_are_tasks_by_now():
    ids, vectors = a_pool()
    known = row_keys([ids[4], ids[400], ids[800], "gone"])
    found = one_pass(in_groups(ids, vectors, 128), wanted(known=known, taken=row_keys([ids[400]])), None)
    assert found.known is not None
    assert found.known.ids.tolist() == [ids[4], ids[800]]
    assert (found.known.vectors == vectors[[4, 800]]).all()


def test_a_pool_without_rows_and_one_smaller_than_what_is_wanted():
    empty = one_pass([], wanted(), Softmax())
    assert (empty.rows, empty.best, empty.drawn, empty.random, empty.around()) == (0, None, None, None, [])
    ids, vectors = a_pool(5)
    found = one_pass([lambda: Rows.of(ids, vectors)], wanted(), Softmax())
    assert found.best is not None
    assert len(found.best) == 5


def test_a_group_that_is_gone_is_left_out():
    ids, vectors = a_pool(500)
    groups = in_groups(ids, vectors, 100)
    groups[2] = lambda: None
    found = one_pass(groups, wanted(drawn=500), None)
    assert found.rows == 400
    assert found.drawn is not None
    assert set(found.drawn.names) == set(ids) - set(ids[200:300])


def test_progress_tells_the_rows_behind_it():
    ids, vectors = a_pool(500)
    told = []
    one_pass(in_groups(ids, vectors, 200), wanted(), Softmax(), progress=told.append)
    assert told == [200, 400, 500]


def test_a_failing_head_ends_the_pass():
    class Failing(Head):
        def probabilities(self, vectors, *, samples=1, seed=0):
            raise ValueError("no")

    ids, vectors = a_pool(500)
    with pytest.raises(ValueError, match="no"):
        one_pass(in_groups(ids, vectors, 10), wanted(), Failing())


def test_what_is_kept_does_not_grow_with_the_pool():
    top = Top(10, 0)
    ids, vectors = a_pool(5000)
    for group in in_groups(ids, vectors, 50):
        rows = group()
        top.add(rows, draws_for(rows.keys, 1))
        assert top._held <= 60


@pytest.mark.parametrize("strategy", ["entropy", "bald"])
def test_searches_in_parts_of_a_pool_come_to_what_one_finds_in_all_of_it(strategy):
    ids, vectors = a_pool()
    known = np.sort(row_keys([ids[3], ids[700]]))
    asked = wanted(strategy=strategy, samples=5, known=known, near=np.eye(2, DIMENSIONS))
    groups = list(in_groups(ids, vectors, 90))
    whole = one_pass(groups, asked, Softmax())
    together = Search(asked)
    for start in range(0, len(groups), 4):
        together.join(Search(asked).look(groups[start : start + 4], Softmax()))
    found = together.found()
    assert found.rows == whole.rows == 1000
    for one, other in zip(everything(found), everything(whole), strict=True):
        assert one is not None
        assert one.names == other.names
        assert np.array_equal(one.vectors, other.vectors)


def everything(found):
    return (found.best, found.drawn, found.random, *found.around())
