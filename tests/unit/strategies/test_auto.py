"""The strategy auto, and the order that knows the last answer."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from ml_backend.config import ProjectSettings
from ml_backend.encoders.gradients import Gradients
from ml_backend.instant.order import InstantOrder
from ml_backend.models.base import LabeledItems
from ml_backend.selection.context import QueryContext
from ml_backend.selection.select import select
from ml_backend.semi_supervised.graph import Neighbourhood, affinity, coordinates, nearest
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.strategies.auto import FAR, auto
from ml_backend.strategies.auto_phases import SEARCHED, cold_picks, explain, searches
from ml_backend.strategies.auto_picks import SPACED
from ml_backend.strategies.rivals import rivals
from ml_backend.strategies.telling import between, unreached

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


@pytest.fixture
def groups():
    """Three groups of 40 on a plane, and three items half-way between the first two."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(centre, 1.0, (40, 2)) for centre in CENTRES] + [[[5, 0], [5, 0.5], [4.8, 0.2]]])
    kinds = np.array([0] * 40 + [1] * 40 + [2] * 40 + [0] * 3)
    return rows.astype(np.float32), kinds


def neighbourhood(rows, labelled=(), targets=(), classes=3):
    weights = affinity(nearest([rows], rows, 9))
    labelled = np.array(labelled, dtype=np.int64)
    rest = np.setdiff1d(np.arange(len(rows)), labelled)
    prior = np.full(classes, 1 / classes)
    return Neighbourhood(
        weights, partial(coordinates, weights), rest, labelled, np.array(targets, dtype=np.int64), prior
    )


def test_the_first_picks_meet_every_group(groups):
    rows, kinds = groups
    found = auto(neighbourhood(rows), 4, np.random.default_rng(0))
    assert set(kinds[found.order]) == {0, 1, 2}


def test_it_goes_on_with_clusters_until_it_has_seen_two_classes(groups):
    rows, kinds = groups
    graph = neighbourhood(rows, [0, 1, 2, 3, 4], [0] * 5)
    assert set(kinds[graph.open[auto(graph, 2, np.random.default_rng(0)).order]]) == {1, 2}


def test_then_it_asks_between_the_classes(groups):
    rows, _ = groups
    graph = neighbourhood(rows, [0, 40, 80, 1], [0, 1, 2, 0])
    found = auto(graph, 1, np.random.default_rng(0))
    x, y = rows[graph.open[found.order[0]]]
    assert 1.5 < x < 8.5, "between the first two groups, where there are items"
    assert abs(y) < 3
    (told,) = found.reasons.values()
    assert {"{0}", "{1}"} == set(re.findall(r"\{\d\}", told))
    assert told.startswith("between ")
    assert told.endswith(" by items like it")


def test_of_an_item_inside_a_class_it_does_not_say_between():
    inside = np.array([0.02, 0.9, 0.08], np.float32)
    assert rivals(inside, None) == "like many others; {1} (90%) by items like it"
    assert rivals(inside, inside) == "like many others; {1} (90%) by items like it"
    assert rivals(np.array([1.0], np.float32), None) == "like many others; {0} (100%) by items like it"


def test_a_reason_names_the_guess_that_people_see_beside_it():
    """The mean of both said "57 % related or 43 % not", beside the guess "related, 99 %"."""
    between, sure = np.array([0.55, 0.45], np.float32), np.array([0.99, 0.01], np.float32)
    assert rivals(between, sure) == "between {0} (55%) and {1} (45%) by items like it; the model says {0} (99%)"
    assert rivals(between[::-1], sure) == "the model says {0} (99%), items like it {1} (55%)"


def test_what_is_asked_at_once_are_no_neighbours(groups):
    rows, _ = groups
    graph = neighbourhood(rows, [0, 40, 80, 1], [0, 1, 2, 0])
    nodes = graph.open[InstantOrder(graph).front(4)]
    between_them = graph.weights[nodes][:, nodes].toarray()
    assert (between_them == 0).all()
    assert len(set(auto(graph, 40, np.random.default_rng(0)).order.tolist())) == 40


def test_ten_in_a_row_are_no_neighbours(groups):
    """Six headlines about one event in a row tire people, and the answer to one is soon taken for that to all."""
    rows, _ = groups
    graph = neighbourhood(rows, [0, 40, 80, 1], [0, 1, 2, 0])

    def close(spaced):
        nodes = graph.open[auto(graph, 16, np.random.default_rng(0), spaced=spaced).order]
        near = graph.weights[nodes][:, nodes].toarray() > 0
        return sum(near[place, max(0, place - 10) : place].any() for place in range(len(nodes)))

    assert close(0) > 3, "else there is nothing to show"
    assert close(SPACED) == 0


@pytest.mark.parametrize("count", [0, 1, 119, 500])
@pytest.mark.parametrize("labels", [(), (0, 40, 80, 1)])
def test_it_picks_as_many_as_there_are(groups, count, labels):
    rows, kinds = groups
    graph = neighbourhood(rows, labels, kinds[list(labels)])
    found = auto(graph, count, np.random.default_rng(0))
    assert sorted(set(found.order.tolist())) == sorted(found.order.tolist())
    assert len(found.order) == min(count, len(graph.open))


def test_a_model_that_disagrees_moves_the_picks(groups):
    rows, kinds = groups
    graph = neighbourhood(rows, [0, 40, 80, 1], [0, 1, 2, 0])
    model = np.eye(3, dtype=np.float32)[kinds[graph.open]] * 0.98 + 0.02 / 3
    odd = (kinds[graph.open] == 2).nonzero()[0]
    model[odd] = np.array([0.0, 0.99, 0.01])  # it takes the third group for the second
    found = auto(replace(graph, model=model.astype(np.float32)), 1, np.random.default_rng(0))
    assert found.order[0] in odd


def test_a_class_that_has_no_label_is_looked_for_whatever_the_model_says(groups):
    """The model of two classes is sure of the third group; four labels in, the next question goes there."""
    rows, kinds = groups
    sure = np.tile(np.array([0.0, 1.0, 0.0], np.float32), (len(rows) - 4, 1))
    graph = replace(neighbourhood(rows, [0, 40, 1, 41], [0, 1, 0, 1]), model=sure)
    found = auto(graph, 3, np.random.default_rng(0))
    assert kinds[graph.open[found.order[0]]] == 2
    assert found.reasons[int(found.order[0])] == FAR
    assert found.reasons[int(found.order[1])] != FAR
    assert InstantOrder(graph).front(1)[0] == found.order[0], "between rounds it asks the same"
    seen = replace(graph, targets=np.array([0, 1, 0, 2]))
    told = auto(seen, 3, np.random.default_rng(0))
    assert [told.reasons[int(item)] == FAR for item in told.order] == [False, False, True], "labels 5, 6 and 7"


def test_a_class_is_looked_for_every_second_time_and_not_for_ever_and_a_kind_every_third_time():
    assert [searches(labels, 9, 10) for labels in (10, 11, 12)] == [True, False, True]
    assert [searches(labels, 10, 10) for labels in (10, 11, 12, 13, 14, 15)] == [False, False, True] * 2
    assert [searches(10 * SEARCHED + more, 9, 10) for more in range(3)] == [False, True, False], "now as any kind"


def test_far_from_all_labels_by_hand():
    """Two pairs, a label in the first: r = (2, 2, 1, 1), median 1.5, m = (0, 0, 1/3, 1/3), S S m = m."""
    pairs = sparse.csr_matrix(np.kron(np.eye(2), 1 - np.eye(2)).astype(np.float32))
    mass = np.array([[2, 0], [1, 1], [1, 0], [0, 1]], np.float32)
    assert unreached(mass, pairs) == pytest.approx([0, 0, 1 / 9, 1 / 9])
    assert unreached(np.zeros((4, 2), np.float32), pairs) == pytest.approx([1, 1, 1, 1])


def test_without_a_second_class_nothing_lies_between():
    rows = np.eye(3, dtype=np.float32)
    assert between(np.ones((3, 1), np.float32), affinity(nearest([rows], rows, 2))).tolist() == [0, 0, 0]


def test_it_explains_itself():
    assert cold_picks(10) == 8
    assert (cold_picks(2), cold_picks(1000)) == (4, 50)
    assert "typical items of groups without a label, until there are 8 labels (3 now)" in explain(3, 2, 10)
    assert "until a second class is found (9 labels now)" in explain(9, 1, 2)
    assert explain(8, 10, 10).endswith("(8 labels); every third one among those that hardly a label reaches")
    assert explain(8, 5, 10).endswith("every second one among those that hardly a label reaches: 5 of 10 classes seen")
    assert "every second" not in explain(50, 9, 10)


# --- in the selection --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noise():
    """Images without any order in them, and what is learnt of them."""
    items = list(np.random.default_rng(0).integers(0, 256, (60, 28, 28)).astype(np.uint8))
    return items, PoolEmbedding.learn(Gradients, items, seed=0)


@pytest.mark.parametrize("known", [0, 6])
def test_eigenvectors_are_computed_for_a_cold_start_alone(known):
    items = list(np.random.default_rng(1).integers(0, 256, (40, 28, 28)).astype(np.uint8))
    embedding = PoolEmbedding.learn(Gradients, items, seed=0)
    labelled = LabeledItems(items[:known], np.arange(known) % 2)
    context = QueryContext(
        None,
        items[known:],
        np.arange(known, 40),
        ProjectSettings(strategy="auto", control_share=0),
        labelled=labelled,
        unlabelled=Unlabelled(embedding, np.full(2, 0.5)),
    )
    select(context, count=5)
    assert ("coordinates" in vars(embedding)) == (known == 0)


@pytest.mark.parametrize("strategy", ["auto", "auto:0.5,k_center:0.3,random:0.2"])
@pytest.mark.parametrize("known", [0, 6])
@pytest.mark.parametrize("learnt", [True, False])
def test_select_goes_by_the_embedding_or_by_what_stands_in(noise, strategy, known, learnt):
    items, embedding = noise
    settings = ProjectSettings(strategy=strategy, control_share=0)
    labelled = LabeledItems(items[:known], np.arange(known) % 2)
    open_items, ids = items[known:], np.arange(known, 60)
    context = QueryContext(
        None,
        open_items,
        ids,
        settings,
        labelled=labelled,
        unlabelled=Unlabelled(embedding, np.full(2, 0.5)) if learnt else None,
    )
    orders = np.arange(60 - known), np.random.default_rng(1).permutation(60 - known)
    chosen = [select(context.take(order), count=20) for order in orders]
    assert len(set(chosen[0].task_ids.tolist())) == 20
    if strategy == "auto":
        assert set(chosen[0].picked_by) == {"auto"}


# --- between rounds ----------------------------------------------------------------------------------------------


def test_an_answer_changes_what_comes_next(groups):
    rows, kinds = groups
    graph = neighbourhood(rows, [0, 40, 80], [0, 1, 2])
    order = InstantOrder(graph)
    asked = []
    for _ in range(12):
        front = order.front(5)
        assert len(set(front.tolist())) == 5
        assert not set(front.tolist()) & set(asked)
        asked.append(int(front[0]))
        order.answer(asked[-1], int(kinds[graph.open[asked[-1]]]))
    before = order.front(3).tolist()
    order.skip(before[0])
    assert before[0] not in order.front(3)


def test_answers_one_by_one_say_the_same_as_all_at_once(groups):
    rows, kinds = groups
    graph = neighbourhood(rows, [0, 40, 80], [0, 1, 2])
    order = InstantOrder(graph)
    for item in (5, 50, 100):
        order.answer(item, int(kinds[graph.open[item]]))
    labelled = [0, 40, 80, *graph.open[[5, 50, 100]].tolist()]
    again = InstantOrder(neighbourhood(rows, labelled, kinds[labelled]))
    left = np.setdiff1d(np.arange(len(rows)), labelled)
    assert [graph.open[i] for i in order.front(3)] == [left[i] for i in again.front(3)]


def test_wrong_answers_are_refused(groups):
    order = InstantOrder(neighbourhood(groups[0], [0, 40], [0, 1]))
    for item, target in ((-1, 0), (10_000, 0), (0, 3)):
        with pytest.raises(ValueError, match="No open item"):
            order.answer(item, target)
