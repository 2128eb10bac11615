"""Between two rounds: what is stored of an order that answers move, and what becomes of faults."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from support.instant_orders import (
    EVERY_GAIN,
    NAME,
    QUESTION,
    auto_queue,
    graph_of,
    groups,
    order_of,
    rows,
)
from support.waiting import until

from ml_backend.config import Settings
from ml_backend.doctor.order_proof import LATE, standing
from ml_backend.errors import LabelStudioRejected, LabelStudioUnreachable, StoreError
from ml_backend.instant.loop import MOST_WAITING, InstantLoop
from ml_backend.instant.project import InstantProject, open_instant
from ml_backend.records import Queue
from ml_backend.store.documents import MOVES
from ml_backend.store.instant_graph import FILE, InstantGraph, read, remove, write
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.query_log import record
from ml_backend.store.queue_reorderings import INSTANT, KEPT, is_paused, reordered, with_reordering

# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    """A project whose served queue has a graph."""
    store = ProjectStore(tmp_path, "7.1000")
    points, _ = groups()
    graph, tasks = graph_of(points)
    queue = Queue(NAME, "cnn-0001-0123abcd", "auto", 1, 0, auto_queue(tasks))
    store.write_queue(queue)
    store.set_current(Current(queue.version, NAME))
    write(store.folder, InstantGraph(NAME, QUESTION, "2026-01-01T00:00:00.000000Z", tasks, graph))
    return store


def test_the_file_keeps_everything(store):
    found = read(store.folder)
    graph, tasks = graph_of(groups()[0])
    assert (found.queue, found.question, found.graph.model) == (NAME, QUESTION, None)
    assert found.question.descriptions == QUESTION.descriptions
    assert (found.task_ids == tasks).all()
    assert (found.graph.weights != graph.weights).nnz == 0
    model = np.full((len(tasks), 2), 0.5, np.float32)
    write(store.folder, replace(found, graph=replace(found.graph, model=model)))
    assert (read(store.folder).graph.model == model).all()
    remove(store.folder)
    assert read(store.folder) is None
    (store.folder / FILE).write_bytes(b"half a file")
    with pytest.raises(StoreError, match="the next round makes a new one"):
        read(store.folder)


def test_readers_of_the_store_see_what_was_moved(store):
    before = store.queue(NAME)
    first, last = before.predictions[0], before.predictions[-1]
    scores = {last.task_id: first.score / 2, first.task_id: last.score}
    store.edit_document(MOVES, lambda content: with_reordering(content, NAME, scores, last.task_id))
    now = store.queue(NAME)
    assert [row.task_id for row in now.predictions[:2]] == [last.task_id, before.predictions[1].task_id]
    assert (now.predictions[0].picked_by, now.predictions[-1].picked_by) == (INSTANT, "auto")
    asked = record(store, [last.task_id, first.task_id])
    assert (asked[last.task_id].picked_by, asked[first.task_id].picked_by) == (INSTANT, "auto")
    for number in range(KEPT):
        store.edit_document(MOVES, lambda content, n=number: with_reordering(content, f"other-{n}", {}, None))
    assert store.queue(NAME) == before, "the moves of old queues are forgotten"


@pytest.mark.parametrize(
    "content", [{}, {"queues": 7}, {"queues": {NAME: []}}, {"queues": {NAME: {"scores": {"x": "y"}, "raised": []}}}]
)
def test_damaged_moves_leave_the_queue_as_it_was_published(store, content):
    queue = store.queue(NAME)
    assert reordered(queue, content) == queue
    (store.folder / MOVES).write_text("{", encoding="utf-8")
    assert store.queue(NAME) == queue


# --- the loop, and what breaks --------------------------------------------------------------------------------------


class Studio:
    """In place of Label Studio, to fail when it is told to: predictions have their task's number."""

    def __init__(self):
        self.scores, self.fault = {}, None

    def prediction_versions(self, project_id):
        return {NAME: 10**6}  # so many that each is looked up when it is needed

    def prediction_id(self, task, version):
        assert version == NAME
        return task

    def score_prediction(self, prediction, score):
        if self.fault is not None:
            raise self.fault
        self.scores[prediction] = score

    def changed_tasks(self, project_id, since):
        return iter(())

    def close(self):
        pass


@pytest.fixture
def loop(store, tmp_path):
    studio, clock = Studio(), [100.0]
    settings = Settings(model_dir=tmp_path)
    found = InstantLoop(settings, client=lambda: studio, clock=lambda: clock[0], pause=0, worth_it=EVERY_GAIN)
    found.start()
    yield found, studio, clock
    found.stop()


def settle(loop):
    until(lambda: not loop.status(7)["busy"], "its end")
    return loop.status(7)


def annotation(task, label="a", **more):
    region = {"from_name": "choice", "to_name": "item", "type": "choices", "value": {"choices": [label]}}
    return {"id": 1, "task": task, "completed_by": 3, "result": [region]} | more


def served_by(studio, store):
    """The order in Label Studio: published scores, and what was written since."""
    published = json.loads((store.folder / f"queues/{NAME}.json").read_text())["predictions"]
    return order_of({row["task_id"]: row["score"] for row in published} | studio.scores)


def test_answers_move_the_queue_and_the_store_says_the_same(loop, store):
    found, studio, _ = loop
    for turn in range(8):
        first = next(t for t in served_by(studio, store) if open_among(store, t, found))
        label = "ab"[turn % 2]
        found.heard(7, annotation(first, label))
        assert settle(found)["answers"] == turn + 1
    assert settle(found)["moved"] > 0
    assert [row.task_id for row in store.queue(NAME).predictions] == served_by(studio, store)


def open_among(store, task, loop):
    state = loop._projects.get(7)
    return state is None or state.state is None or task in state.state._queue._items


def test_a_label_studio_that_fails_is_left_alone_for_a_while_and_the_order_stands(loop, store):
    found, studio, clock = loop
    before = store.queue(NAME)
    studio.fault = LabelStudioUnreachable("no answer in time")
    tasks = [row.task_id for row in before.predictions]
    for task in tasks[:6]:
        found.heard(7, annotation(task, "b"))
    assert settle(found)["problem"] == "no answer in time"
    assert store.queue(NAME) == before
    studio.fault, heard = None, settle(found)["answers"]
    found.heard(7, annotation(tasks[6], "b"))
    assert settle(found)["answers"] == heard, "at rest"
    clock[0] += 11
    for task in tasks[7:10]:
        found.heard(7, annotation(task, "a"))
    status = settle(found)
    assert (status["problem"], status["answers"]) == ("", heard + 3)
    assert [row.task_id for row in store.queue(NAME).predictions] == served_by(studio, store)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        [],
        {},
        annotation("101"),
        annotation(10**9),
        annotation(1089, "c"),
        annotation(1089, ["a", "b"]),
        annotation(1089, {"a": 1}),
        annotation(1089, result=[]),
        annotation(1089, result="x"),
        annotation(1089, result=[7]),
        annotation(1089, result=[{"from_name": "choice", "type": "choices", "value": None}]),
        annotation(True),
    ],
)
def test_malformed_events_change_nothing(loop, store, payload):
    found, studio, _ = loop
    found.heard(7, payload)
    found.heard(8, annotation(1089))
    status = settle(found)
    assert (status["answers"], status["problem"], studio.scores) == (0, "", {})


def test_a_round_that_publishes_meanwhile_wins(loop, store):
    found, studio, _ = loop
    tasks = [row.task_id for row in store.queue(NAME).predictions]
    found.heard(7, annotation(tasks[0], "b"))
    assert settle(found)["queue"] == NAME
    newer = replace(store.queue(NAME), name="cnn-0002-0123abcd.auto-0002", predictions=rows(("auto",) * 5))
    store.write_queue(newer)
    store.set_current(Current(newer.version, newer.name))
    studio.scores.clear()
    found.heard(7, annotation(tasks[1], "a"))
    assert settle(found)["queue"] is None, "its round left no graph: nothing is moved"
    assert studio.scores == {}
    assert store.queue(newer.name) == newer


def test_while_the_order_is_proved_nothing_moves(loop, store):
    found, studio, _ = loop
    tasks = [row.task_id for row in store.queue(NAME).predictions]
    began = time.time()
    with standing(store, clock=lambda: began):
        for task in tasks[:4]:
            found.heard(7, annotation(task, "b"))
        assert settle(found)["answers"] == 0
    assert is_paused(store.document(MOVES), began + LATE - 0.1)
    assert not is_paused(store.document(MOVES), began + LATE + 0.1)
    assert studio.scores == {}


def test_a_dropped_task_is_not_moved_and_skipped_ones_are_not_asked(store):
    studio, state = Studio(), open_instant(store, worth_it=EVERY_GAIN)
    best = state._queue.swap().raised
    state.keep_in_place([best])
    second = state._queue.swap().raised
    assert second != best
    assert state.take_in(state.answer_in(annotation(second, was_cancelled=True, result=[])))
    state.serve(3, studio)
    assert not {best, second} & studio.scores.keys()
    assert len(studio.scores) == 1


def test_whoever_sends_too_much_waits_for_nothing(store, tmp_path):
    loop = InstantLoop(Settings(model_dir=tmp_path), client=Studio)
    loop.heard(7, annotation(1089))
    assert not loop.status(7)["busy"], "nobody listens yet"
    loop._thread = loop  # never started: the events stay
    for _ in range(2 * MOST_WAITING):
        loop.heard(7, annotation(1089))
    assert loop._events.qsize() == MOST_WAITING


def test_a_surprise_moves_a_task_late_and_the_expected_answer_none(store):
    """What was prepared holds for the expected answer; after another one, the next task is moved while they wait."""
    late = {}
    for surprise in (False, True):
        studio, state = Studio(), open_instant(store, worth_it=EVERY_GAIN)
        state.serve(3, studio)
        state.moved_late = 0
        for _ in range(10):
            state.prepare(3, studio)
            task = state._queue.open_task(3)
            expected = state._queue._orders[""]._expected()[task - 1000]
            label = "ab"[int(expected.argmin() if surprise else expected.argmax())]
            assert state.take_in(state.answer_in(annotation(task, label)))
            wanted, before = state._queue.swap(), state.moved_late
            state.serve(3, studio)
            assert state.moved_late == before + (wanted is not None)
            assert wanted is None or state._queue.open_task(3) == wanted.raised
        late[surprise] = state.moved_late
    assert late[True] > late[False] == 0


def test_a_half_done_swap_is_finished_with_the_next_answer(store):
    studio, state = Studio(), open_instant(store, worth_it=EVERY_GAIN)
    tasks = [row.task_id for row in store.queue(NAME).predictions]
    swaps = iter(range(2))
    original = studio.score_prediction

    def once(prediction, score):
        if next(swaps, 5) == 1:
            raise LabelStudioRejected("the database is locked")
        original(prediction, score)

    studio.score_prediction = once
    assert isinstance(state, InstantProject)
    state._queue.give(3)

    def answer_all():
        for task in tasks:
            state.take_in(state.answer_in(annotation(task, "b")))
            state.serve(3, studio)
            state.prepare(3, studio)

    with pytest.raises(LabelStudioRejected):
        answer_all()
    assert store.document(MOVES) == {}
    studio.score_prediction = original
    state.prepare(3, studio)
    assert state._half_done == []
    assert [row.task_id for row in store.queue(NAME).predictions] == served_by(studio, store)
