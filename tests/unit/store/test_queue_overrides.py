"""What people want of the order: kept, honoured, taken back, forgotten; two people at once."""

from __future__ import annotations

import json
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.texts import IDS, SETTINGS, TEXTS

from ml_backend.errors import ConfigurationError, StoreError
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.records import CONTROL, PINNED, Task
from ml_backend.rounds.examples import divide
from ml_backend.selection.context import QueryContext
from ml_backend.selection.ordering import queue_scores
from ml_backend.selection.select import arrange, assess
from ml_backend.store.project_store import ProjectStore
from ml_backend.store.queue_overrides import ACTIONS, MOST, QueueOverrides, boost, change, drop, forget, pin, read, undo
from ml_backend.store.registry import StoreRegistry
from ml_backend.store.remote import Remote

UID = "7.1000"
some_tasks = st.lists(st.integers(1, 12), min_size=1, max_size=5)
edits = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), some_tasks), max_size=12)


def test_a_boosted_task_is_next_and_a_pinned_one_waits_its_turn() -> None:
    wishes = pin(boost(pin(QueueOverrides(), [1, 2]), [5, 4]), [3, 1])
    assert wishes == QueueOverrides((5, 4, 1, 2, 3))
    assert boost(wishes, [2, 3]) == QueueOverrides((2, 3, 5, 4, 1))


def test_a_dropped_task_is_not_first_and_a_wanted_one_not_dropped() -> None:
    wishes = drop(pin(QueueOverrides(), [1, 2, 3]), [2])
    assert wishes == QueueOverrides((1, 3), (2,))
    assert pin(wishes, [2]) == QueueOverrides((1, 3, 2))
    assert boost(wishes, [2]) == QueueOverrides((2, 1, 3))
    assert undo(wishes, [1, 2, 99]) == QueueOverrides((3,))


@given(edits)
def test_no_sequence_of_edits_breaks_the_lists(sequence) -> None:
    wishes = QueueOverrides()
    for action, tasks in sequence:
        before, wishes = wishes, ACTIONS[action](wishes, tasks)
        assert len(set(wishes.front)) == len(wishes.front)
        assert len(set(wishes.dropped)) == len(wishes.dropped)
        assert not set(wishes.front) & set(wishes.dropped)
        others = {*before.front, *before.dropped} - set(tasks)
        assert others == {*wishes.front, *wishes.dropped} - set(tasks), "an edit concerns its own tasks only"
        assert [t for t in before.front if t in others] == [t for t in wishes.front if t in others], "and no order"
        where = {"boost": wishes.front, "pin": wishes.front, "drop": wishes.dropped}.get(action)
        assert set(tasks) <= set(where) if where is not None else not set(tasks) & {*wishes.front, *wishes.dropped}


def test_two_people_at_once_keep_what_each_wanted(tmp_path) -> None:
    def edit(action: str, first: int) -> None:
        for task in range(first, first + 25):
            change(ProjectStore(tmp_path, UID), action, [task])

    people = [threading.Thread(target=edit, args=args) for args in (("pin", 100), ("drop", 200), ("pin", 300))]
    for person in people:
        person.start()
    for person in people:
        person.join()
    wishes = read(ProjectStore(tmp_path, UID))
    assert set(wishes.front) == {*range(100, 125), *range(300, 325)}
    assert set(wishes.dropped) == set(range(200, 225))


def test_an_edit_need_not_wait_for_a_round(tmp_path) -> None:
    store = ProjectStore(tmp_path, UID)
    with store.lock():
        assert change(ProjectStore(tmp_path, UID), "pin", [4]).front == (4,)


def test_wishes_reach_other_machines_at_once_and_survive_their_rounds(tmp_path) -> None:
    here, there = (StoreRegistry(tmp_path / name, Remote(f"file://{tmp_path}/shared")) for name in ("here", "there"))
    with here.get(UID).lock():
        here.get(UID).write_document("something.json", {"a": 1})
    change(there.get(UID), "pin", [1])
    change(here.get(UID), "drop", [2])
    with there.get(UID).lock():  # a round, on the other machine
        assert read(there.get(UID)) == QueueOverrides((1,), (2,))
        change(here.get(UID), "boost", [3])
    assert read(here.get(UID)) == QueueOverrides((3, 1), (2,))
    with there.get(UID).lock():
        assert read(there.get(UID)) == QueueOverrides((3, 1), (2,))


def test_forgetting(tmp_path) -> None:
    store = ProjectStore(tmp_path, UID)
    change(store, "pin", [1, 2, 3])
    change(store, "drop", [4, 5])
    forget(store, [2, 4, 77])
    assert read(store) == QueueOverrides((1, 3), (5,))


@pytest.mark.parametrize("tasks", [[], [0], [-3], ["4"], [True], [1.5], [None]])
def test_malformed_ids_are_refused(tmp_path, tasks) -> None:
    with pytest.raises(ConfigurationError, match="task_ids"):
        change(ProjectStore(tmp_path, UID), "pin", tasks)


def test_unknown_actions_and_too_many_wishes_are_refused(tmp_path) -> None:
    store = ProjectStore(tmp_path, UID)
    with pytest.raises(ConfigurationError, match="known: boost, pin, drop, undo"):
        change(store, "delete", [1])
    with pytest.raises(ConfigurationError, match="choose fewer"):
        change(store, "pin", list(range(1, MOST + 2)))
    assert read(store) == QueueOverrides()


@pytest.mark.parametrize("content", ['{"front": 3}', '{"dropped": ["x"]}', "[1]", "{"])
def test_a_damaged_document_says_what_to_do(tmp_path, content) -> None:
    store = ProjectStore(tmp_path, UID)
    store.folder.mkdir(parents=True)
    (store.folder / "wishes.json").write_text(content)
    with pytest.raises(StoreError, match=r"wishes\.json is damaged.*delete it"):
        read(store)


# --- what a round makes of them -------------------------------------------------------------------------------------


def selected(model, front, count=40, settings=SETTINGS):
    context = QueryContext(model, TEXTS, IDS, settings)
    return arrange(context, assess(context), count=count, turn=3, front=front)


def test_the_front_comes_first_in_its_order_and_the_rest_as_without_it(model) -> None:
    chosen = selected(model, [150, 103, 99_999, 141])
    assert chosen.task_ids[:3].tolist() == [150, 103, 141], "a task that is not open is left out"
    assert chosen.picked_by[:3] == (PINNED,) * 3
    assert len(set(chosen.task_ids.tolist())) == 40
    assert (np.diff(queue_scores(chosen.utility)) > 0).all(), "Label Studio's order has no ties"
    rest = [task for task, by in zip(chosen.task_ids, chosen.picked_by, strict=True) if by not in (PINNED, CONTROL)]
    told = dict(zip(IDS.tolist(), assess(QueryContext(model, TEXTS, IDS, SETTINGS)).uncertainty, strict=True))
    assert (np.diff([told[task] for task in rest]) <= 0).all()


def test_the_control_arm_keeps_its_share_of_what_follows(model) -> None:
    chosen = selected(model, IDS[:10].tolist(), count=60)
    assert Counter(chosen.picked_by) == {PINNED: 10, CONTROL: 10, "entropy": 40}
    control = [task for task, by in zip(chosen.task_ids, chosen.picked_by, strict=True) if by == CONTROL]
    assert not set(control) & set(IDS[:10]), "a task that a person chose is no random one"


@pytest.mark.parametrize("front", [[], IDS.tolist(), IDS[:30].tolist()])
def test_a_front_of_any_length(model, front) -> None:
    chosen = selected(model, front, count=20)
    assert len(chosen) == len(set(chosen.task_ids.tolist())) == len(chosen.picked_by) == 20
    assert chosen.task_ids[: len(front)].tolist() == front[:20]


def test_dropped_tasks_are_open_to_nothing() -> None:
    question = ChoiceQuestion("label", "text", "Text", "text", ("no", "yes"))
    tasks = [Task(id=number, data={"text": "t"}) for number in range(1, 6)]
    pool = divide(tasks, question, dropped=[2, 4, 99])
    assert [task.id for task in pool.open] == [1, 3, 5]
    assert pool.dropped == {2, 4}


def test_the_document_is_plain_json(tmp_path) -> None:
    store = ProjectStore(tmp_path, UID)
    change(store, "pin", [3])
    assert json.loads((store.folder / "wishes.json").read_text()) == {"front": [3], "dropped": []}
