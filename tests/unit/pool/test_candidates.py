"""Which rows are worth comparing."""

import numpy as np
from support.row_pools import Softmax, a_pool, in_groups

from ml_backend.config import ProjectSettings
from ml_backend.draws import draws_for
from ml_backend.pool.candidates import Labelled, Sizes, find_candidates
from ml_backend.pool.neighbours import AT_ONCE, Neighbours
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.scoring import one_pass
from ml_backend.selection.control_arm import control_order
from ml_backend.selection.ordering import rank, uncertainty

SIZES = Sizes(best=60, drawn=30, near=40)
IDS, VECTORS = a_pool(2000)


def labelled(*places):
    return Labelled(list(places), lambda tasks: VECTORS[list(tasks)].astype(np.float32))


def found(head=None, known=None, *, taken=(), neighbours=None, **changes):
    settings = ProjectSettings(queue_size=10).override(changes, where="Test")
    return find_candidates(
        lambda wanted: one_pass(in_groups(IDS, VECTORS, 300), wanted, head),
        settings,
        trained=head is not None,
        taken=row_keys(list(taken)),
        labelled=known or labelled(),
        neighbours=neighbours or Neighbours("these"),
        sizes=SIZES,
    )


def test_the_best_the_samples_and_neighbours_are_joined_each_row_once():
    all_of = found(Softmax(), labelled(3, 5))
    keys = row_keys(IDS)
    values = uncertainty("entropy", Softmax().probabilities(VECTORS), keys, seed=0)
    best = {IDS[i] for i in rank(values, keys, seed=0, count=60)}
    drawn = {IDS[i] for i in np.argsort(-draws_for(keys, 0))[:30]}
    control = set(control_order(keys, 0, 30).tolist())
    rows = all_of.rows
    assert rows is not None
    assert len(np.unique(rows.keys)) == len(rows) == len(all_of)
    assert best | drawn <= set(rows.ids.tolist())
    assert control <= set(rows.keys.tolist())
    assert all_of.counts == {"best": 60, "drawn": 30, "near": 40}
    assert all_of.looked_at == 2000


def test_without_a_model_only_chance_and_labels_choose():
    first = found(None, labelled(3))
    assert first.counts == {"best": 0, "drawn": 30, "near": 40}


def test_rows_that_are_tasks_are_no_candidates():
    before = found(Softmax(), labelled(3))
    assert before.rows is not None
    taken = before.rows.ids[:20].tolist()
    after = found(Softmax(), labelled(3), taken=taken, neighbours=before.neighbours)
    assert after.rows is not None
    assert not set(taken) & set(after.rows.ids.tolist())


def test_neighbours_are_looked_for_once_and_come_back_from_later_passes():
    first = found(None, labelled(3))
    assert list(first.neighbours.near) == [3]

    def never(tasks):
        raise AssertionError(f"looked for again: {tasks}")

    again = found(None, Labelled([3], never), neighbours=first.neighbours)
    assert first.rows is not None
    assert again.rows is not None
    assert again.rows.ids.tolist() == first.rows.ids.tolist()
    assert again.counts == first.counts


def test_a_pass_looks_for_the_newest_labels_first_and_never_for_many():
    many = Neighbours("these").missing(range(500))
    assert many == list(range(499, 499 - AT_ONCE, -1))
    some = Neighbours("these", {499: ("a",)}).missing(range(500))
    assert some[0] == 498


def test_the_nearest_of_each_label_come_before_the_second_nearest_of_any():
    known = Neighbours("these", {1: ("a", "b", "c"), 2: ("d", "e"), 9: ("z",)})
    assert known.known([1, 2], 3) == ["d", "a", "e"]
    assert known.known([1, 2], 10) == ["d", "a", "e", "b", "c"]
    assert known.known([], 10) == []


def test_among_other_vectors_nothing_is_known():
    known = Neighbours("these", {1: ("a",)})
    assert known.among("these") is known
    assert known.among("those").near == {}


def test_a_long_queue_has_samples_to_choose_from():
    assert Sizes().for_queue(200) == Sizes()
    assert Sizes().for_queue(50_000) == Sizes(best=100_000, drawn=100_000, near=2_000)


def test_a_pool_of_which_all_rows_are_tasks_has_no_candidates():
    none = found(Softmax(), taken=IDS)
    assert none.rows is None
    assert len(none) == 0
