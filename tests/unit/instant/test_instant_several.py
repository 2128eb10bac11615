"""Several questions between two rounds: each answer goes to its question, and each place stays its question's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.instant_orders import EVERY_GAIN, NAME, QUESTION, auto_queue, graph_of, groups

from ml_backend.instant.project import open_instant
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import Queue
from ml_backend.store.instant_graph import InstantGraph, read, write
from ml_backend.store.project_store import Current, ProjectStore

STARS = ChoiceQuestion("stars", "item", "Text", "text", ("1", "2"), kind="rating")


def said(task, **values):
    """An annotation that answers some questions."""
    regions = [{"from_name": name, "value": value} for name, value in values.items()]
    return {"task": task, "completed_by": 3, "was_cancelled": False, "result": regions}


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1000")


@pytest.fixture
def two(store):
    """Two questions; each other place of the queue is the second's, whose labels are of other tasks."""
    first, tasks = graph_of(groups()[0])
    weights, open_nodes = first.weights, first.open
    stars = replace(first, labelled=np.array([0, 59]), targets=np.array([0, 1]))
    assert (open_nodes == stars.open).all()
    turns = [replace(row, asked_by="stars" if n % 2 else "") for n, row in enumerate(auto_queue(tasks))]
    store.write_queue(Queue(NAME, "cnn-0001-0123abcd", "auto", 1, 0, tuple(turns)))
    store.set_current(Current("cnn-0001-0123abcd", NAME))
    found = InstantGraph(NAME, QUESTION, "2026-01-01T00:00:00.000000Z", tasks, first, ((STARS, stars),))
    write(store.folder, found)
    assert (read(store.folder).others[0][1].weights != weights).nnz == 0
    assert read(store.folder).others[0][0] == STARS
    return open_instant(store, worth_it=EVERY_GAIN)


def test_an_answer_to_any_question_moves_what_comes_next(two):
    orders = two._queue._orders
    task = 1000 + 45  # of the group between, which is open for both
    before = {name: order.values() for name, order in orders.items()}
    answer = two.answer_in(said(task, stars={"rating": 2}))
    assert (answer.label, answer.others) == (None, {"stars": "2"})
    assert two.take_in(answer)
    assert (orders["stars"].values() != before["stars"]).any()
    assert (orders[""].values() == before[""]).all(), "its first question was left open"
    both = two.answer_in(said(task + 1, stars={"rating": 1}, choice={"choices": ["a"]}))
    assert (both.label, both.others) == ("a", {"stars": "1"})
    assert two.take_in(both)
    assert (orders[""].values() != before[""]).any()
    assert two.answer_in(said(task + 2, why={"text": ["so"]})) is None
    assert two.answer_in(said(task + 2, stars={"rating": 9})) is None, "no label of the config"


def test_each_place_stays_its_questions(two):
    queue, wanted = two._queue, []
    asked_by = dict(queue._asked_by)
    for place in range(10):
        name = "stars" if place % 2 else ""
        assert queue._asked_by[queue.first()] == name
        swap = queue.swap()
        if swap is not None:
            order = queue._orders[name]
            values = {task: order.values()[list(queue._tasks).index(task)] for task in (swap.raised, swap.demoted)}
            assert values[swap.raised] >= values[swap.demoted]
            wanted.append(swap.raised)
            queue.apply(swap)
        task = queue.first()
        assert queue._asked_by[task] == name
        queue.take_in(task, place % 2, None, {"stars": place % 2})
    assert any(asked_by[task] != queue._asked_by[task] for task in wanted), "some came from a place of the other's"


def test_places_of_a_question_without_labels_stay_as_they_are(two, store):
    write(store.folder, replace(read(store.folder), others=()))
    queue = open_instant(store, worth_it=EVERY_GAIN)._queue
    queue.take_in(queue.first(), 1, None)
    assert queue._asked_by[queue.first()] == "stars"
    assert queue.swap() is None
