"""What annotations were asked under: by the store, by Label Studio's snapshot alone, and by what an export carried."""

from __future__ import annotations

import pytest
from support.exports import FIRST, PICKED, QUESTION, SECOND, VERSION, annotation, queue_of, store_with_queues, task

from ml_backend.exporting.provenance import MARK, AskedUnder, Provenance
from ml_backend.label_studio.answers import annotation_result
from ml_backend.store.documents import MOVES
from ml_backend.store.queue_reorderings import KEPT, with_reordering


@pytest.fixture
def store(tmp_path):
    return store_with_queues(tmp_path)


def asked(store, number, given, **data):
    return AskedUnder(QUESTION, PICKED, store).of(task(number, given, **data), given)


def test_each_share_is_told_apart(store):
    found = {number: asked(store, number, annotation(1)) for number in PICKED}
    assert {number: (each.share, each.strategy) for number, each in found.items()} == {
        1: ("sampled", "auto"),
        2: ("control", "random"),
        3: ("pinned", None),
        4: ("sampled", "entropy"),
        5: ("instant", "auto"),
        6: ("random", "random"),
    }
    assert {number: each.place for number, each in found.items()} == {1: 1, 5: 2, 2: 3, 3: 4, 4: 5, 6: 6}
    assert {(each.queue, each.model_version) for each in found.values()} == {(FIRST, VERSION)}


def test_the_guess_is_what_people_saw_and_a_hidden_one_is_known_to_be_hidden(store):
    seen = asked(store, 1, annotation(1, guess="b"))
    assert (seen.guess, seen.probability, seen.guess_shown) == ("b", 0.7, True)
    hidden = asked(store, 2, annotation(1, guess=None))
    assert (hidden.guess, hidden.probability, hidden.guess_shown) == ("a", 0.7, False)


def test_held_out_tasks_are_their_own_share(store):
    assert asked(store, 1, annotation(1), split="evaluation").share == "evaluation"


def test_an_answer_given_to_many_at_once_says_so_whatever_the_queue_had_guessed(store):
    result = annotation_result("a", QUESTION, action="0" * 32)
    assert asked(store, 2, annotation(1, result=result)) == Provenance(share="bulk")
    alone = AskedUnder(QUESTION, [2], None)
    given = annotation(1, result=result)
    assert alone.of(task(2, given), given).share == "bulk", "Label Studio knows it without our store"


def test_a_page_that_was_open_before_the_new_order_showed_the_old_one(store):
    given = annotation(1, queue=SECOND, guess="b", published="08:59:58", lead_time=30)
    found = asked(store, 1, given)
    assert (found.queue, found.place, found.guess) == (FIRST, 1, "a")
    in_time = asked(store, 1, given | {"lead_time": 1})
    assert (in_time.queue, in_time.place, in_time.guess) == (SECOND, 6, "b")
    edited = asked(store, 1, given | {"updated_at": "2026-01-01T10:00:00Z"})  # its time holds the editing as well
    assert edited.queue == SECOND


def test_a_page_from_before_the_first_order_was_asked_by_nobody(store):
    assert asked(store, 1, annotation(1, published="08:59:58", lead_time=30)) == Provenance()


def test_a_task_outside_the_queue_has_a_guess_and_no_share(store):
    under = AskedUnder(QUESTION, [99], store)
    found = under.of(task(99), annotation(1))
    assert found == Provenance(model_version=VERSION, guess="a", probability=0.7, guess_shown=True)


def test_without_the_store_the_queues_name_tells_what_it_can():
    found = asked(None, 1, annotation(1))
    assert found == Provenance("auto", None, None, FIRST, VERSION, "a", 0.7, True)
    assert asked(None, 1, annotation(1, queue="start.random-0001", guess=None)).share == "random"


def test_labels_that_came_with_their_tasks_and_foreign_predictions_are_no_picks(store):
    under = AskedUnder(QUESTION, [99], store)
    assert under.of(task(99), annotation(1, queue=None)) == Provenance()
    imported = annotation(1, queue=None, updated_by=None)
    assert asked(store, 2, imported) == Provenance()  # a second person was asked for it later
    foreign = under.of(task(99), annotation(1, queue="by hand", guess="b"))
    assert foreign == Provenance(model_version="by hand", guess="b", probability=0.7, guess_shown=True)


def test_without_a_snapshot_the_query_log_tells(store):
    found = asked(store, 2, annotation(1, queue=None))
    assert (found.share, found.queue, found.place, found.guess_shown) == ("control", SECOND, 5, False)
    store.write_queue(queue_of(SECOND, {1: "auto"}, prelabel=False))
    assert asked(store, 1, annotation(1, queue=None)).guess_shown is False


def test_a_later_answer_to_a_task_that_was_not_asked_is_of_no_share(store):
    first, later = annotation(1, queue=None), annotation(2, queue=None, completed_by=2)
    under, row = AskedUnder(QUESTION, PICKED, store), task(2, first, later)
    assert [under.of(row, given).share for given in (first, later)] == ["control", None]


def test_what_an_export_carried_holds_after_an_import(store):
    before = Provenance("entropy", "sampled", 7, "q", "v", "a", 0.5, guess_shown=True)
    given = annotation(31, queue=None, import_id=12)
    row = task(99, given) | {"meta": {MARK: {"12": vars(before) | {"of a later release": 1}}}}
    assert AskedUnder(QUESTION, [99], store).of(row, given) == before
    assert AskedUnder(QUESTION, [99], store).of(row, given | {"import_id": 13}) == Provenance()


def test_moves_of_a_replaced_order_are_kept_for_good(store):
    store.keep_as_served(FIRST)
    for number in range(KEPT + 1):  # later orders push its moves out
        store.edit_document(MOVES, lambda content, name=f"q-{number:04d}": with_reordering(content, name, {1: 0.5}, 1))
    found = asked(store, 5, annotation(1))
    assert (found.share, found.place) == ("instant", 2)


def test_where_guesses_were_off_none_was_seen(store):
    store.write_queue(queue_of(FIRST, PICKED, prelabel=False))
    given = annotation(1, queue=SECOND, published="08:59:58", lead_time=30)
    assert asked(store, 1, given).guess_shown is False
