"""What an answer moves within an order, and what it must not move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.instant_orders import (
    EVERY_GAIN,
    KINDS,
    TASKS,
    auto_queue,
    graph_of,
    groups,
    order_of,
    rows,
)

from ml_backend.instant.order import InstantOrder
from ml_backend.instant.queue import InstantQueue
from ml_backend.instant.served_queue import ServedQueue
from ml_backend.store.queue_reorderings import INSTANT


@given(st.data())
def test_whatever_is_moved_every_other_place_is_its_tasks(data):
    """Control and pinned tasks come exactly when they would have, and no two scores are ever equal."""
    queue, served = ServedQueue(rows(), ("auto", INSTANT)), []
    for _ in TASKS:
        candidates = sorted(queue.candidates())
        if candidates and (swap := queue.swap(data.draw(st.sampled_from(candidates)))):
            assert 0 < swap.to < queue.scores[swap.demoted]
            queue.apply(swap)
        assert len(set(queue.scores.values())) == len(TASKS)
        served.append(queue.give(1))
        queue.close(served[-1], 1)
    assert sorted(served) == list(TASKS)
    for place, kind in enumerate(KINDS):
        assert (served[place] == TASKS[place]) or kind == "auto"
    assert queue.give(1) is None


def test_what_somebody_has_is_neither_moved_nor_anybody_elses():
    queue = ServedQueue(rows(), ("auto",))
    assert (queue.give("x"), queue.give("y")) == (101, 102)
    assert queue.candidates() == set(), "the next place is a control task's"
    assert queue.give("z") == 103
    assert queue.candidates() == {104, 106, 107, 109, 110}
    queue.keep_in_place([106])
    queue.close(101, "x")
    assert queue.give("x") == 104
    queue.close(777, "y")  # opened elsewhere: what y had is free again
    assert queue.first() == 102
    assert 106 not in queue.candidates()
    after = ServedQueue(rows(), ("auto",))
    after.take_over(queue)
    assert after.first() == 101
    assert 104 not in after.candidates()


def test_half_a_swap_leaves_an_order_without_ties():
    queue = ServedQueue(rows(), ("auto",))
    swap = queue.swap(107)
    queue.score(swap.raised, swap.to)
    assert order_of(queue.scores) == [107, 101, 102, 103, 104, 105, 106, 108, 109, 110]
    assert queue.swap(107) is None
    queue.scores = {1: 5e-324, 2: 0.5}
    queue._movable = {1, 2}
    assert queue.swap(2) is None, "no room before the first"


def test_what_was_prepared_for_the_expected_answer_is_right_when_it_comes():
    points, _ = groups()
    graph, tasks = graph_of(points)
    queue = InstantQueue(graph, tasks, auto_queue(tasks), worth_it=EVERY_GAIN)
    task = queue.give(1)
    expected = int(queue._orders[""]._expected()[task - 1000].argmax())
    prepared = queue.swap(after=task)
    assert queue.take_in(task, expected, 1)
    assert queue.swap() == prepared is not None
    assert not queue.take_in(task, expected, 1), "once"
    assert not queue.take_in(5, 0, 1), "never open"
    skipped = prepared.raised
    assert queue.take_in(skipped, None, 2)
    assert queue.swap().raised != skipped


def test_a_search_moves_nothing_where_all_of_the_queue_is_reached():
    """Of three classes two have a label; the queue lies beside these, where a search has nothing to find."""
    graph, tasks = graph_of(groups()[0])
    graph = replace(graph, prior=np.full(3, 1 / 3))
    reached = tasks[InstantOrder(graph).values() == 0][::-1]
    assert len(reached) >= 20
    queue = InstantQueue(graph, tasks, auto_queue(reached), worth_it=EVERY_GAIN)
    assert queue.swap() is None


def test_only_tasks_of_the_queue_come_to_the_front():
    points, kinds = groups()
    graph, tasks = graph_of(points)
    queue = InstantQueue(graph, tasks, auto_queue(tasks), worth_it=EVERY_GAIN)
    listed = set(tasks[-20:].tolist())
    moved_tasks = 0
    for _ in range(20):
        if swap := queue.swap():
            moved_tasks += 1
            queue.apply(swap)
        task = queue.first()
        listed.remove(task)
        queue.take_in(task, int(kinds[task - 1000]), None)
    assert (queue.swap(), queue.first(), moved_tasks > 3) == (None, None, True)
