"""The one place that counts: from the copy of the tasks, the queue and the query log."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from bench.dashboard_store import START, fill_cache

from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_cache import UPSERT, TaskCache
from ml_backend.label_studio.task_rows import TIME_FORMAT
from ml_backend.records import CONTROL, Prediction, Queue
from ml_backend.rounds.examples import divide
from ml_backend.rounds.measures import DOCUMENT, numbers, present
from ml_backend.rounds.tally import tally
from ml_backend.store.documents import QUESTION
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.query_log import record
from ml_backend.store.queue_overrides import change

ASKED = ChoiceQuestion("choice", "item", "Text", "text", ("a", "b"))


@pytest.fixture
def store(tmp_path) -> ProjectStore:
    """Tasks 1 to 4 are held out, 5 to 20 are not; 1, 5 and 6 are labelled. The queue asks 6 to 9, 8 as control."""
    store = ProjectStore(tmp_path, "1.1")
    data = {task: {"text": "x"} | ({"split": "evaluation"} if task < 5 else {}) for task in range(1, 21)}
    fill_cache(store, data, {1: "a", 5: "a", 6: "b"})
    store.note_question(ASKED)
    picks = tuple(Prediction(t, "a", 0.7, t / 100, CONTROL if t == 8 else "auto") for t in (6, 7, 8, 9))
    queue = Queue("m-0001-aaaaaaaa.auto-0001", "m-0001-aaaaaaaa", "auto", 1, 0, picks)
    store.write_queue(queue)
    store.set_current(Current(queue.version, queue.name))
    return store


def annotate(store: ProjectStore, task: int, *labels: str | None, data=None) -> None:
    """Put a task with these people's answers into the copy; None is a skip."""
    rows = []
    for person, label in enumerate(labels):
        value = [{"from_name": "choice", "to_name": "item", "type": "choices", "value": {"choices": [label]}}]
        about = {"id": task * 10 + person, "completed_by": person, "updated_at": START.isoformat()}
        rows.append(about | {"was_cancelled": label is None, "result": value if label else []})
    row = {"id": task, "data": data or {"text": "x"}, "is_labeled": any(labels), "annotations": rows}
    with TaskCache(store.task_cache_path)._open() as db:
        db.execute(UPSERT, (task, len(rows), json.dumps(row)))


def test_each_kind_of_answer_is_counted_once(store):
    annotate(store, 7, "a", "a", "b")
    annotate(store, 8, "b")
    annotate(store, 9, None)
    annotate(store, 10, "a", "b")
    annotate(store, 11, "not in the config")
    annotate(store, 2, "a", data={"text": "x", "split": "evaluation"})
    change(store, "drop", [12])
    now = tally(store)
    assert (now.labels, now.evaluation, now.control, now.tied, now.skipped) == (4, 2, 1, 1, 1)
    assert now.held_out == 4
    assert now.open == 20 - 4 - len({5, 6, 7, 8, 9, 10, 11, 12})
    queue = now.queue
    assert (queue.size, queue.answered, queue.skipped, queue.waiting, queue.gone, queue.elsewhere) == (4, 3, 1, 0, 0, 3)
    assert now.live[CONTROL] == {"n": 1} | {name: now.live[CONTROL][name] for name in ("accuracy", "low", "high")}


def test_answers_given_to_many_at_once_are_counted_apart(store):
    for task in (7, 8):
        annotate(store, task, "b")
    bulk = json.dumps(annotation_result("b", ASKED, action="a" * 32))
    with TaskCache(store.task_cache_path)._open() as db:
        row = json.loads(db.execute("SELECT row FROM tasks WHERE id = 8").fetchone()[0])
        row["annotations"][0]["result"] = json.loads(bulk)
        db.execute(UPSERT, (8, 1, json.dumps(row)))
    now = tally(store)
    assert (now.labels, now.bulk, now.control) == (4, 1, 0)
    assert now.queue.answered == 3
    row["annotations"].append(row["annotations"][0] | {"id": 99, "completed_by": 5, "result": []})
    with TaskCache(store.task_cache_path)._open() as db:
        db.execute(UPSERT, (8, 2, json.dumps(row)))
    assert tally(store).bulk == 0, "somebody answered it by itself, too"


def test_what_is_taken_back_is_not_counted(store):
    before = tally(store)
    annotate(store, 8, "b")
    assert tally(store).control == 1
    annotate(store, 8)
    assert tally(store) == before


def test_a_control_answer_stays_one_after_its_queue_is_replaced(store):
    annotate(store, 8, "b")
    record(store, {8})
    for number in range(2, 12):
        queue = Queue(
            f"m-0001-aaaaaaaa.auto-{number:04d}", None, "auto", 1, 0, (Prediction(15, "a", 0.7, 0.1, "auto"),)
        )
        store.write_queue(queue)
        store.set_current(Current(None, queue.name))
    assert tally(store).control == 1


def test_a_field_inside_a_text_or_another_object_holds_nothing_out(store):
    before = tally(store).open
    annotate(store, 15, data={"text": '{"split": "evaluation"}'})
    annotate(store, 16, data={"text": "x", "more": {"split": "evaluation"}})
    assert tally(store).open == before
    annotate(store, 16, data={"text": "x", "split": "evaluation"})
    assert tally(store).open == before - 1


def test_a_deleted_task_is_gone_from_the_queue(store):
    with TaskCache(store.task_cache_path)._open() as db:
        db.execute("DELETE FROM tasks WHERE id IN (7, 9)")
    queue = tally(store).queue
    assert (queue.answered, queue.waiting, queue.gone) == (1, 1, 2)


def test_answers_that_the_last_round_knew_are_not_new(store):
    annotate(store, 3, "a", None)
    assert tally(store).new == 5
    (store.folder / "last_round.json").write_text(json.dumps({"newest": START.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}))
    assert tally(store).new == 0
    assert tally(store).queue.elsewhere == 0


def test_answers_that_were_imported_with_their_tasks_are_not_new_after_a_round(store):
    """Label Studio writes tasks first and their answers later: no change of a task is as new."""
    earlier, answered = (START - timedelta(seconds=1), START)
    seen = {"newest": earlier.strftime(TIME_FORMAT), "answers": answered.strftime(TIME_FORMAT)}
    (store.folder / "last_round.json").write_text(json.dumps(seen))
    assert tally(store).new == 0
    assert divide(TaskCache(store.task_cache_path).tasks(), ASKED).newest == START


def test_without_a_copy_of_the_tasks_or_the_question_nothing_is_made_up(store, tmp_path):
    assert tally(ProjectStore(tmp_path, "2.1")) is None
    known = store.document(QUESTION)
    store.write_document(QUESTION, {name: known[name] for name in ("title", "field", "object_tag", "labels")})
    assert store.noted_question() is None  # as 0.1 wrote it
    assert tally(store) is None
    assert numbers(store) is None
    store.write_document(DOCUMENT, {"labels": 3, "live": {}})
    assert present(store) == {"labels": 3, "live": {}}
    store.write_document(DOCUMENT, {"labels": 3, "live": {}, "numbers": {"labels": 3}})
    assert numbers(store) == {"labels": 3}, "those of the last round"


def test_the_measures_know_what_was_answered_since_the_round(store):
    store.write_document(DOCUMENT, {"labels": 1, "live": {}, "classes": {}, "hint": "Go on"})
    found = present(store)
    assert (found["labels"], found["numbers"]["labels"], found["hint"]) == (2, 2, "Go on")
    assert found["classes"]["picked"] == {"b": 1.0}


def test_what_the_last_round_lacked_is_told_as_it_is_now(store):
    known = {"labels": 1, "live": {}, "classes": {}, "hint": "old", "outlook": None, "version": "m-0001-aaaaaaaa"}
    for task in range(30, 75):
        annotate(store, task, *(["a"] if task < 60 else []), data={"text": "x", "split": "evaluation"})
    store.write_document(DOCUMENT, known | {"evaluated": 2, "saved_missing": "needs 28 more"})
    found = present(store)
    assert found["numbers"]["held_out"] == 4 + 45
    assert found["saved_missing"] == "needs the next round, which measures on 31 tasks"
    assert found["hint"].endswith("It needs the next round, which measures on 31 tasks.")
    store.write_document(DOCUMENT, known | {"evaluated": 31, "saved_missing": "needs control tasks"})
    assert present(store)["saved_missing"] == "needs control tasks"


def test_tasks_that_were_held_out_since_the_round_are_told_before_any_is_labelled(store):
    known = {"labels": 1, "live": {}, "classes": {}, "hint": "old", "outlook": None, "version": "m-0001-aaaaaaaa"}
    before = tally(store)
    known |= {"evaluated": before.evaluation, "numbers": before.numbers, "saved_missing": "as the round said"}
    store.write_document(DOCUMENT, known)
    assert present(store)["saved_missing"] == "as the round said", "nothing has changed"
    for task in range(30, 75):
        annotate(store, task, data={"text": "x", "split": "evaluation"})
    assert tally(store).evaluation == before.evaluation
    assert "of the 49 that are held out" in present(store)["saved_missing"]
