"""Answers of several choices between two rounds: what they move, what stays, and what is kept of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from support.instant_orders import EVERY_GAIN, NAME, auto_queue, graph_of, groups

from ml_backend.instant.order import InstantOrder
from ml_backend.instant.project import open_instant
from ml_backend.instant.queue import InstantQueue
from ml_backend.label_sets import pack
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import CONTROL, Queue
from ml_backend.store.instant_graph import FILE, InstantGraph, read, write
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.strategies.auto_sets import covering

TOPICS = ChoiceQuestion("topics", "item", "Text", "text", ("a", "b", "c"), multiple=True)
SHORT = ChoiceQuestion("short", "item", "Text", "text", ("a", "b"))
SETS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
"""Of the two groups, and of what lies between."""


def sets_of(points, surprising=()):
    """A graph whose labels are sets: one of each group, and some that are all alike."""
    graph, tasks = graph_of(points, (0, 30, *surprising))
    targets = np.concatenate([SETS[:2], np.repeat(SETS[2:], len(surprising), axis=0)])
    return replace(graph, targets=targets, prior=np.array([0.4, 0.3, 0.6]), over_classes="largest"), tasks


@pytest.fixture
def points():
    return groups()[0]


def kept(folder, points, question=TOPICS, others=()):
    """A project whose served queue is of sets."""
    store, (graph, tasks) = ProjectStore(folder, "7.1000"), sets_of(points)
    store.write_queue(Queue(NAME, "cnn-0001-0123abcd", "auto", 1, 0, auto_queue(tasks)))
    store.set_current(Current("cnn-0001-0123abcd", NAME))
    write(store.folder, InstantGraph(NAME, question, "2026-01-01T00:00:00.000000Z", tasks, graph, others))
    return store


def said(task, *labels, control="topics", **more):
    """An annotation of a set; of none Label Studio keeps no region."""
    region = {"from_name": control, "to_name": "item", "type": "choices", "value": {"choices": list(labels)}}
    return {"task": task, "completed_by": 3, "was_cancelled": False, "result": [region] if labels else []} | more


def test_sets_answered_one_by_one_say_the_same_as_all_at_once(points):
    graph, _ = sets_of(points)
    order, asked = InstantOrder(graph), (3, 17, 40)
    before = order.values()
    for item in asked:
        order.answer(item, SETS[2])
    again = InstantOrder(sets_of(points, graph.open[list(asked)].tolist())[0])
    left = np.setdiff1d(np.arange(len(graph.open)), asked)
    np.testing.assert_allclose(order.values()[left], again.values(), atol=1e-3)
    assert np.abs(order.values() - before)[left].max() > 0.01


@pytest.mark.parametrize("target", [0, [1, 0], [1, 0, 2], [[1, 0, 1]]])
def test_what_is_no_set_of_the_classes_is_refused(points, target):
    with pytest.raises(ValueError, match="of 3 classes"):
        InstantOrder(sets_of(points)[0]).answer(0, np.array(target) if target else 0)


def test_no_set_is_taken_where_one_choice_is_asked_for(points):
    with pytest.raises(ValueError, match="of 2 classes"):
        InstantOrder(graph_of(points)[0]).answer(0, np.array([1, 0]))


def test_what_was_prepared_for_the_likeliest_set_is_right_when_it_comes(points):
    graph, tasks = sets_of(points)
    queue = InstantQueue(graph, tasks, auto_queue(tasks)[::-1], worth_it=EVERY_GAIN)
    assert queue.give(1) is not None
    task = queue.give(2)  # in the place that covers; the next is one of doubt
    expected = (queue._orders[""]._expected()[task - 1000] >= 0.5).astype(np.int64)
    prepared = queue.swap(after=task)
    assert queue.take_in(task, expected, 2)
    assert queue.swap() == prepared is not None


def test_places_that_cover_the_pool_keep_their_tasks(points):
    """Control tasks stand among them: the kind of a place does not go by how many answers there were."""
    graph, tasks = sets_of(points)
    rows = list(auto_queue(tasks))
    rows[1] = replace(rows[1], picked_by=CONTROL)
    rows[4] = replace(rows[4], picked_by=CONTROL)
    own = [row.task_id for row in rows if row.picked_by != CONTROL]
    covers = {task for task, here in zip(own, covering(len(own)), strict=True) if here}
    assert len(covers) == 9
    queue, stayed, moved = InstantQueue(graph, tasks, rows, worth_it=EVERY_GAIN), 0, 0
    for planned in [row.task_id for row in rows[:12]]:
        before = queue.first()
        if swap := queue.swap():
            assert queue._tasks[queue._items[before]] not in queue._covering
            queue.apply(swap)
            moved += 1
        elif planned in covers:
            stayed += 1
        task = queue.first()
        queue.take_in(task, SETS[(task - 1000) // 30], None)
    assert (moved >= 3, stayed >= 3) == (True, True)


def test_the_empty_set_is_an_answer_and_moves_what_comes_next(tmp_path, points):
    store = kept(tmp_path, points)
    project = open_instant(store, worth_it=EVERY_GAIN)
    order = project._queue._orders[""]
    before = order.values()
    answer = project.answer_in(said(1005))  # among those like it is one with two labels
    assert answer.label == ""
    assert project.take_in(answer)
    assert np.abs(order.values() - before).max() > 0.01
    both = project.answer_in(said(1046, "c", "a"))
    assert both.label == pack(["a", "c"], TOPICS.labels)
    assert project.take_in(both)
    assert project.answer_in(said(1047, "a", "z")) is None, "a label that the config does not list waits for the round"
    assert project.answer_in(said(1047, "z", was_cancelled=True)).label is None


def test_without_a_choice_a_required_question_is_left_open(tmp_path, points):
    project = open_instant(kept(tmp_path, points, replace(TOPICS, required=True)))
    assert project.answer_in(said(1045)) is None


def test_several_people_give_the_set_that_most_of_them_chose(tmp_path, points):
    project = open_instant(kept(tmp_path, points))

    def row(*sets):
        given = [
            said(
                1045,
                *labels,
                id=n,
                completed_by=n,
                created_at="2026-01-02T00:00:00Z",
                updated_at=f"2026-01-0{n}T00:00:00Z",
            )
            for n, labels in enumerate(sets, 1)
        ]
        return {"id": 1045, "data": {}, "is_labeled": True, "annotations": given}

    assert project._answer_in(row(["a", "b"], ["a"], ["a", "b"])).label == pack(["a", "b"], TOPICS.labels)
    assert project._answer_in(row([], [], ["a"])).label == ""
    assert project._answer_in(row(["a"], ["a", "b"])) is None, "half of them: another answer decides"


def test_a_question_of_sets_beside_one_of_a_choice(tmp_path, points):
    """Each is spread over a graph of its own, whatever its answers are."""
    beside, _ = graph_of(points)
    project = open_instant(kept(tmp_path, points, others=((SHORT, beside),)), worth_it=EVERY_GAIN)
    orders = project._queue._orders
    before = {name: order.values() for name, order in orders.items()}
    annotation = said(1045, "c")
    annotation["result"] += said(1045, "b", control="short")["result"]
    answer = project.answer_in(annotation)
    assert (answer.label, answer.others) == ("c", {"short": "b"})
    assert project.take_in(answer)
    assert all((orders[name].values() != before[name]).any() for name in ("", "short"))


def test_the_file_keeps_sets_and_reads_what_was_written_before_there_were_any(tmp_path, points):
    store = kept(tmp_path, points)
    found = read(store.folder)
    assert found.question == TOPICS
    assert found.graph.over_classes == "largest"
    np.testing.assert_array_equal(found.graph.targets, SETS[[0, 1]])
    path = store.folder / FILE
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["about"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    del about["over_classes"]
    save_file(arrays, path, metadata={"about": json.dumps(about)})
    assert read(store.folder).graph.over_classes == "mean"
