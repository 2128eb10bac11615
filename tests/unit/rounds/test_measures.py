"""Answers by arm, the random sample, live accuracy and class shares; one loop with a real model and store."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.stores import WEIGHTS, manifest
from typer.testing import CliRunner

from ml_backend.cli import measures as script
from ml_backend.config import ProjectSettings
from ml_backend.errors import StoreError
from ml_backend.evaluation.stopping import Judged
from ml_backend.records import CONTROL, FIRST_ROW, Prediction, Queue
from ml_backend.rounds.evaluation_tasks import too_few_evaluated
from ml_backend.rounds.outlook import Outlook, outlook, saved_missing
from ml_backend.rounds.random_baseline import labels_for, random_sample, sizes
from ml_backend.rounds.tally import class_shares, live_accuracy
from ml_backend.selection.control_arm import control_order
from ml_backend.store import query_log as answers_module
from ml_backend.store.evaluation_predictions import EvaluationPredictions, evaluation_predictions
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.query_log import IN_BULK, QueryLogEntry, record, recorded


def queue(number: int, *predictions: Prediction, version: str | None = "m-0001-aaaaaaaa") -> Queue:
    return Queue(f"{version or 'start'}.entropy-{number:04d}", version, "entropy", 1, 0, predictions)


def pick(task: int, by: str = "entropy", label: str | None = "a") -> Prediction:
    return Prediction(task, label, 0.6, task / 100, by)


@pytest.fixture
def store(tmp_path) -> ProjectStore:
    return ProjectStore(tmp_path, "1.1")


def serve(store: ProjectStore, served: Queue) -> None:
    store.write_queue(served)
    store.set_current(Current(served.version, served.name))


def test_answers_are_noted_once_with_the_newest_queue_that_asked(store):
    serve(store, queue(1, pick(1), pick(2, label="b"), pick(3, CONTROL)))
    assert record(store, {1}) == {1: QueryLogEntry(queue(1).name, "m-0001-aaaaaaaa", "entropy", "a", 0.6, place=1)}
    serve(store, queue(2, pick(2), pick(3, CONTROL)))
    found = record(store, {1, 2, 3, 99})  # 99 was labelled without a queue
    assert list(found) == [1, 2, 3]
    assert found[2].queue == queue(2).name
    assert found[3].picked_by == CONTROL
    assert recorded(store) == found == record(store, {1, 2, 3, 99})


def test_an_answer_to_a_replaced_queue_is_found(store):
    for number in range(1, 9):
        serve(store, queue(number, pick(number)))
    assert set(record(store, set(range(1, 9)))) == set(range(9 - answers_module.QUEUES_BACK, 9))


def test_a_queue_that_was_written_but_not_served_asked_nobody(store):
    serve(store, queue(1, pick(1)))
    store.write_queue(queue(2, pick(2)))
    assert set(record(store, {1, 2})) == {1}


def test_a_damaged_file_is_named(store):
    store.write_document("answers.json", {"answers": {"1": {"nonsense": 2}}})
    with pytest.raises(StoreError, match=r"answers\.json is damaged .*start again"):
        recorded(store)


def answer(by: str, guess: str | None = "a", version: str | None = "m-0001-aaaaaaaa") -> QueryLogEntry:
    return QueryLogEntry("q", version, by, guess, 0.5)


def test_the_random_sample_is_the_start_and_the_control_order_up_to_the_first_open_task():
    ids = np.arange(1, 21)
    order = control_order(ids, 0, 20).tolist()
    asked, first = set(order[:5]) | {order[7]}, [100, 101]
    answers = {task: answer("entropy") for task in asked} | {101: answer("random", version=None)}
    labelled = np.array(sorted(asked | set(first)))
    still_open = np.array(sorted(set(ids.tolist()) - asked))
    start, later = random_sample(labelled, answers, still_open, seed=0)
    assert start == first
    assert later == order[:5]  # order[7] was asked by the strategy, and 5 and 6 are open: it is no random label yet


def test_tasks_of_a_pool_outside_are_drawn_by_their_rows():
    rows = FIRST_ROW + np.arange(20)
    order = control_order(rows, 0, 20).tolist()
    task_of = {row: 100 + number for number, row in enumerate(order)}
    labelled, still_open = [task_of[row] for row in order[:3]], order[3:]
    answers = {task: answer(CONTROL) for task in labelled}
    keys = {task: row for row, task in task_of.items()}
    drawn = random_sample(np.array(labelled[::-1]), answers, np.array(still_open), seed=0, keys=keys)
    assert drawn == ([], labelled)
    first_is_open = random_sample(np.array(labelled[1:]), answers, np.array([*still_open, order[0]]), seed=0, keys=keys)
    assert first_is_open == ([], [])


def test_what_was_answered_with_many_others_is_no_random_label_wherever_it_stands():
    ids = np.arange(1, 21)
    order = control_order(ids, 0, 20).tolist()
    before_any_model, first_of_the_order, second = 100, order[0], order[1]
    answers = {first_of_the_order: IN_BULK, second: answer("entropy"), before_any_model: IN_BULK}
    labelled = np.array(sorted(answers))
    still_open = np.array(sorted(set(ids.tolist()) - set(answers)))
    start, later = random_sample(labelled, answers, still_open, seed=0)
    assert start == []
    assert later == [second]


def test_what_was_answered_with_many_others_measures_no_guess_and_no_pick():
    answers = {1: answer(CONTROL), 2: answer("entropy"), 3: IN_BULK}
    labels = {1: "a", 2: "a", 3: "b"}
    assert set(live_accuracy(answers, labels)) == {CONTROL, "entropy"}
    assert class_shares(answers, labels) == {"control": {"a": 1.0}, "picked": {"a": 1.0}, "recent": {"a": 1.0}}


def test_what_is_answered_with_many_others_is_not_noted_since_it_can_be_undone(store):
    asked = set(record(store, {1, 2}))
    assert record(store, {1, 2, 3}, {3})[3] == IN_BULK
    assert set(recorded(store)) == asked


def test_sizes_grow_to_the_sample():
    assert sizes(19) == []
    assert sizes(20) == [20]
    assert sizes(100) == [20, 26, 33, 43, 57, 74, 96]


def test_live_accuracy_by_arm():
    answers = {n: answer(CONTROL, "a") for n in range(10)} | {n: answer("entropy", "a") for n in range(10, 14)}
    answers[50] = answer(CONTROL, None)  # before a first model nothing was guessed
    labels = {n: "a" if n not in (3, 10, 11) else "b" for n in answers}
    found = live_accuracy(answers, labels)
    assert found[CONTROL]["n"] == 10
    assert found[CONTROL]["accuracy"] == 0.9
    assert found["entropy"]["accuracy"] == 0.5
    assert found[CONTROL]["low"] < 0.9 < found[CONTROL]["high"]


def test_a_corrected_label_and_a_deleted_one_change_the_measure():
    answers = {1: answer(CONTROL), 2: answer(CONTROL)}
    assert live_accuracy(answers, {1: "a", 2: "b"})[CONTROL]["accuracy"] == 0.5
    assert live_accuracy(answers, {1: "a", 2: "a"})[CONTROL]["accuracy"] == 1.0
    assert live_accuracy(answers, {1: "a"})[CONTROL]["n"] == 1


def test_class_shares():
    answers = {1: answer(CONTROL), 2: answer("entropy"), 3: answer("entropy"), 4: answer("random")}
    found = class_shares(answers, {1: "no", 2: "yes", 3: "yes", 4: "no", 9: "no"})
    assert found["control"] == {"no": 1.0}
    assert found["picked"] == pytest.approx({"yes": 2 / 3, "no": 1 / 3})


def test_the_outlook_goes_by_versions_that_learnt_as_the_one_in_use_did(store):
    """Of two curves, one of labels alone and one of the pool, only the second says how it goes on."""
    targets, rows = np.zeros(200, np.int64), np.arange(200)

    def write(number: int, labels: int, error: float, learnt_from: str) -> EvaluationPredictions:
        wrong = rows < error * len(rows)
        judged = evaluation_predictions(rows, targets, np.where(wrong[:, None], [[0.2, 0.8]], [[0.9, 0.1]]))
        made = manifest(number).model_copy(update={"examples": labels, "learnt_from": learnt_from})
        store.write_version(made, WEIGHTS, judged)
        return judged

    write(1, 10, 0.9, "labels")
    for number, labels in enumerate((20, 40, 80, 160), 2):
        judged = write(number, labels, 4 / labels, "pool")
    project = SimpleNamespace(store=store, settings=ProjectSettings(train_after_labels=16))
    found = outlook(project, manifest(5).name, judged, Judged(160, judged.right), np.random.default_rng(0))
    assert found.labels_ahead == 160
    assert found.expected.value == pytest.approx(1 - 0.0125, abs=1e-6)
    assert len(found.agreement) == 4
    assert "from 97.5% to" in found.hint
    assert "10 more rounds (160 labels) to 98.8%" in found.hint
    assert found.accuracy < found.soon.value < found.expected.value


def of_versions(store, *made: tuple[int, str]) -> Outlook:
    """The outlook after versions that learnt from so many labels in such a way, and all have 40 % of 1,000 right."""
    rows = np.arange(1000)
    probabilities = np.where((rows < 600)[:, None], [[0.2, 0.8]], [[0.9, 0.1]])
    judged = evaluation_predictions(rows, np.zeros(1000, np.int64), probabilities)
    for number, (labels, learnt_from) in enumerate(made, 1):
        version = manifest(number).model_copy(update={"examples": labels, "learnt_from": learnt_from})
        store.write_version(version, WEIGHTS, judged)
    project = SimpleNamespace(store=store, settings=ProjectSettings(train_after_labels=10))
    last = manifest(len(made)).name
    return outlook(project, last, judged, Judged(made[-1][0], judged.right), np.random.default_rng(0))


def test_nine_unchanged_versions_of_two_ways_say_that_more_labels_bring_little(store):
    """Five of them learnt as the present one did not: that hid the others, and nothing was said."""
    ways = ["labels"] * 6 + ["pool"] * 3
    found = of_versions(store, *((20 + 10 * n, way) for n, way in enumerate(ways)))
    assert found.settled
    assert found.hint.startswith(
        "You can stop: predictions have stopped changing, and 10 more labels would likely bring"
    )
    assert "from 40.0% to 40.0% (" in found.hint


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            [(20, "pool")],
            "after about 30 more (3 rounds). It takes 4 versions of different numbers of labels, measured on the same "
            "evaluation tasks; there is 1. The newest has 40.0%",
        ),
        ([(20, "pool"), (30, "pool")], "after about 20 more (2 rounds)"),
        ([(60, "pool")] * 9, "after about 10 more (1 round)"),
        ([(60, "pool")] * 9, "there are 9, of one number of labels. The newest has 40.0% of these tasks right."),
    ],
)
def test_where_it_cannot_be_told_what_more_labels_bring_it_says_what_is_missing(store, made, said):
    hint = of_versions(store, *made).hint
    assert hint.startswith("Go on: ")
    assert said in hint


def test_what_is_missing_to_tell_the_labels_saved():
    assert too_few_evaluated(30, 30) == ""
    assert "needs 18 more labelled evaluation tasks: 12 of the 100 that are held out are" in too_few_evaluated(12, 100)
    assert "and only 12 are held out: lsal import" in saved_missing(12, 12, 0, 0, 0, 0.1)
    assert labels_for(4) == 26
    assert saved_missing(30, 30, 14, 4, 1, 0.1) == "needs 12 more answers to control tasks"
    assert saved_missing(30, 30, 500, 0, 0, 0.1) == "needs 1 more answer to control tasks"
    assert "control_share" in saved_missing(30, 30, 14, 0, 0, 0.0)
    assert saved_missing(30, 30, 26, 4, 1, 0.1).startswith("needs 3 more rounds in the background")
    assert "two numbers of random labels" in saved_missing(30, 30, 26, 4, 4, 0.1)


def test_the_script_says_what_to_do_without_a_round(tmp_path):
    result = CliRunner().invoke(script.app, ["--project", "7", "--model-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "No round of project 7" in result.output
    assert "lsal sync --project" in result.output


def test_the_script_tells_the_measures(store, tmp_path):
    interval = {"value": 300.0, "low": 200.0, "high": 420.0}
    saved = {"labels": 150, "random_labels": interval, "at_least": False}
    saved["saved"] = {name: value - 150 for name, value in interval.items()}
    found = {
        "version": "m-0001-aaaaaaaa",
        "labels": 150,
        "random_labels": 60,
        "live": {CONTROL: {"n": 20, "accuracy": 0.9, "low": 0.7, "high": 0.97}},
        "classes": {"control": {"no": 1.0}, "picked": {"yes": 0.5, "no": 0.5}, "recent": {}},
        "labels_saved": saved,
        "outlook": None,
        "hint": "Go on.",
    }
    store.write_document("measures.json", found)
    arguments = ["--project", "1", "--model-dir", str(tmp_path)]
    shown = CliRunner().invoke(script.app, arguments).output
    assert "last 20 control tasks (random, no guess shown): 90.0% (70.0% to 97.0%)" in shown
    assert "As good as 300 random labels (200 to 420): +150 labels (+50 to +270) saved by 150." in shown
    assert "Go on." in shown
    assert json.loads(CliRunner().invoke(script.app, [*arguments, "--json"]).output) == found
    store.write_document("measures.json", found | {"labels_saved": None})
    assert "not known yet" in CliRunner().invoke(script.app, arguments).output
