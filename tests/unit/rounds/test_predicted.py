"""Rounds by another model's predictions: order, arms, mixtures, what people corrected. No Label Studio is asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.detections import box
from support.predicted import annotated, predicted_project, queue_of

from ml_backend.errors import ConfigurationError
from ml_backend.label_studio.foreign import Foreign, newest_of
from ml_backend.label_studio.layout import Layout
from ml_backend.records import CONTROL, PINNED, Task
from ml_backend.rounds.log import Seen
from ml_backend.rounds.predicted.measures import corrections, measure
from ml_backend.rounds.predicted.pool import divide_answered
from ml_backend.rounds.predicted.reading import scores_of
from ml_backend.rounds.predicted.wanted import by_predictions, is_by_predictions
from ml_backend.rounds.report import Recorder, Report
from ml_backend.rounds.tally import tally
from ml_backend.store.project_store import Current, ProjectStore
from ml_backend.store.query_log import QueryLogEntry

PLACE = (10.0, 10.0, 20.0, 20.0)


def one(score: float | None) -> list[dict[str, Any]]:
    return [box("a", PLACE, score=score)]


def asked(queue: Any) -> list[int]:
    return [item.task_id for item in queue.predictions]


def test_the_least_sure_come_first_with_their_regions(tmp_path: Path) -> None:
    results = [one(0.9), one(0.2), one(0.5), None]
    queue = queue_of(predicted_project(tmp_path, results, control_share=0))
    assert (queue.name, queue.version, queue.source) == ("start.predictions-0001", None, {"yolo-1": 3})
    assert asked(queue) == [4, 2, 3, 1]  # without a prediction first
    assert [item.result for item in queue.predictions[1:]] == [tuple(one(0.2)), tuple(one(0.5)), tuple(one(0.9))]
    assert queue.predictions[0].result is None
    assert queue.predictions[0].reason == "no other model's prediction"
    assert queue.predictions[1].reason == "1 region by yolo-1, sure to 20%"
    served = [item.score for item in queue.predictions]
    assert served == sorted(served)
    assert len(set(served)) == 4


def test_settings_of_doubt_and_of_tasks_without_a_prediction(tmp_path: Path) -> None:
    results = [[*one(0.9), box("b", PLACE, score=0.1)], one(0.4), None]
    for doubt, order in {"lowest": [1, 2, 3], "mean": [2, 1, 3], "highest": [2, 1, 3], "count": [1, 2, 3]}.items():
        project = predicted_project(
            tmp_path, results, control_share=0, predictions_doubt=doubt, predictions_missing="last"
        )
        found = asked(queue_of(project))
        assert found == order or doubt == "count"
        assert found[-1] == 3
    chance = predicted_project(tmp_path, results, control_share=0, predictions_missing="chance")
    assert sorted(asked(queue_of(chance))) == [1, 2, 3]


def test_control_tasks_pinned_and_dropped_ones_and_a_mixture(tmp_path: Path) -> None:
    results = [one(number / 200) for number in range(100)]
    project = predicted_project(
        tmp_path, results, control_share=0.2, strategy="predictions:0.5,random:0.5", front=[99], dropped=[1]
    )
    queue = queue_of(project, whole_pool=True)
    assert queue.name == "start.mix-0001"
    assert (queue.predictions[0].task_id, queue.predictions[0].picked_by) == (99, PINNED)
    assert 1 not in asked(queue)
    by = {name: [item for item in queue.predictions if item.picked_by == name] for name in ("predictions", "random")}
    control = [item for item in queue.predictions if item.picked_by == CONTROL]
    assert len(control) in (19, 20)
    assert abs(len(by["predictions"]) - len(by["random"])) <= 1
    assert {item.reason for item in control} == {""}
    assert all(item.result for item in queue.predictions)  # kept of control tasks too, to be compared
    own = [item.task_id for item in by["predictions"]]
    assert own == sorted(own)


def test_diversity_by_the_texts_that_the_page_shows(tmp_path: Path) -> None:
    config = '<View><Text name="t" value="$text"/><Labels name="n" toName="t"><Label value="A"/></Labels></View>'
    words = ["flood river water", "flood river rain", "film star award", "film star music", "match goal team"]
    tasks = [Task(number, {"text": text}) for number, text in enumerate(words, 1)]
    span = {"id": "a", "from_name": "n", "type": "labels", "value": {"start": 0, "end": 1, "labels": ["A"]}}
    results = [[span | {"score": 0.1 * number}] for number in range(1, 6)]
    mixed = {"strategy": "predictions:0.4,k_center:0.6", "control_share": 0, "queue_size": 5}
    queue = queue_of(predicted_project(tmp_path, results, tasks=tasks, config=config, **mixed))
    assert {item.picked_by for item in queue.predictions} == {"predictions", "k_center"}
    with pytest.raises(ConfigurationError, match="shows no text as one field"):
        queue_of(predicted_project(tmp_path, results, **mixed))


def test_diversity_by_numbers_that_come_with_the_tasks(tmp_path: Path) -> None:
    groups = [[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [0.01, 1.0], "no numbers", [1.0]]
    tasks = [Task(number, {"vector": vector}) for number, vector in enumerate(groups, 1)]
    mixed = {"strategy": "predictions:0.5,k_center:0.5", "control_share": 0, "embedding_field": "vector"}
    project = predicted_project(tmp_path, [one(0.5)] * 6, tasks=tasks, queue_size=6, **mixed)
    report = Report(7)
    queue = queue_of(project, report=report)
    assert sorted(asked(queue)) == [1, 2, 3, 4, 5, 6]
    assert {item.picked_by for item in queue.predictions} == {"predictions", "k_center"}
    (warning,) = report.warnings
    assert warning.startswith("2 tasks hold no 2 numbers in 'vector'")
    assert warning.endswith("5, 6.")
    misspelt = predicted_project(tmp_path, [one(0.5)] * 6, tasks=tasks, **mixed | {"embedding_field": "vectors"})
    with pytest.raises(ConfigurationError, match=r"No task has a field 'vectors'.*'vector' \(5 of 6 tasks\)"):
        queue_of(misspelt)


def test_parts_that_need_answers_are_refused(tmp_path: Path) -> None:
    project = predicted_project(tmp_path, [one(0.5)], strategy="predictions:0.5,entropy:0.5")
    with pytest.raises(ConfigurationError, match=r"strategies that need no answers \(this one needs probabilities\)"):
        queue_of(project)


def test_scores_that_cannot_be_used_are_counted_by_task() -> None:
    def prediction(task: int, result: Any, score: Any = None) -> Foreign:
        rows = [{"id": task, "task": task, "model_version": "m", "result": result, "score": score}]
        return newest_of(rows).by_task[task]

    layout = Layout({"box": ("Car", "Bike", "Bus")})
    wrong = [box("a", PLACE) | {"score": score} for score in ("0.5", -1, 7, math.nan)]
    predictions = [
        prediction(1, [*wrong, *one(0.25)]),
        prediction(2, one(None)),
        prediction(3, one(None), score=0.75),
        prediction(4, {"not": "a list"}, score="high"),
        prediction(5, None, score=0.5),
    ]
    predictions[0] = prediction(1, [region | {"id": str(n)} for n, region in enumerate([*wrong, *one(0.25)])])
    scored, problems = scores_of(predictions, layout)
    assert (scored[1].scores, scored[1].classes, scored[1].regions) == ((0.25,), (3,), 5)
    assert (scored[3].scores, scored[3].overall) == ((), 0.75)
    assert scored[5].overall == 0.5
    assert {problem: count for problem, (_, count) in problems.items()} == {
        "a score that is a text": 1,
        "a negative score": 1,
        "a score above 1": 1,
        "a score that is not finite": 1,
        "no score": 1,
        "a result that is no list": 1,
        "a score that is a text, of the whole prediction": 1,
    }
    assert problems["no score"][0] == {2: 1}


def test_tasks_are_answered_as_soon_as_somebody_submitted_anything() -> None:
    held_out = {"split": "evaluation"}
    tasks = [
        annotated(1, []),
        annotated(2, None, cancelled=True),
        Task(3, {}),
        annotated(4, [], data=held_out),
        Task(5, held_out),
        Task(6, {}),
    ]
    pool = divide_answered(tasks, [6])
    assert [task.id for task, _ in pool.training] == [1]
    assert [task.id for task in pool.open] == [3]
    assert pool.counts == {"labels": 1, "evaluation": 1, "held_out": 2, "open": 1, "skipped": 1, "tied": 0}
    assert pool.dropped == {6}


def test_what_people_corrected_by_arm_and_anew_where_an_answer_changes(tmp_path: Path) -> None:
    drawn = [box("x", (11.0, 10.0, 20.0, 20.0), "Car")]
    tasks = [annotated(1, one(None)), annotated(2, drawn), annotated(3, []), Task(4, {})]
    project = predicted_project(tmp_path, [one(0.5)] * 4, tasks=tasks)
    store = project.store
    whole = predicted_project(tmp_path, [one(0.5)] * 4, control_share=0)
    queue = queue_of(whole)
    store.write_queue(queue)
    log = {
        task: QueryLogEntry(queue.name, None, CONTROL if task == 2 else "predictions", None, 0.0, task)
        for task in (1, 2, 3)
    }
    answers = {task.id: task.annotations[0] for task, _ in project.pool.training}
    found = corrections(store, log, answers)
    assert (found["picked"]["tasks"], found["picked"]["corrected"]) == (2, 1)
    assert (found["picked"]["kept"], found["picked"]["removed"], found["picked"]["overlap"]) == (1, 1, 1)
    assert (found["control"]["tasks"], found["control"]["moved"]) == (1, 1)
    assert found["control"]["overlap"] == pytest.approx(380 / 420)
    assert corrections(store, log, answers) == found  # of what is known nothing is compared again
    later = answers | {3: annotated(3, one(None), minute=1).annotations[0]}
    assert corrections(store, log, later)["picked"]["corrected"] == 0
    assert corrections(store, log, {1: answers[1]})["picked"]["tasks"] == 1  # an answer that is taken back leaves


def test_the_measures_are_written_down(tmp_path: Path) -> None:
    project = predicted_project(tmp_path, [one(0.5)] * 3, tasks=[annotated(1, []), Task(2, {}), Task(3, {})])
    before = queue_of(predicted_project(tmp_path, [one(0.5)] * 3))
    project.store.write_queue(before)
    project.store.set_current(Current(None, before.name))
    report = Report(7)
    found = measure(project, Recorder(report))
    assert report.warnings == []
    assert found is not None
    assert (found["labels"], found["version"]) == (1, None)
    assert found["corrections"]["picked"]["removed"] + found["corrections"]["control"]["removed"] == 1
    assert project.store.document("measures.json") == found
    assert tally(project.store) is None  # no copy of the tasks here


def test_which_projects_are_ordered_by_predictions(tmp_path: Path) -> None:
    project = predicted_project(tmp_path, [])
    defaults = project.settings.override({"strategy": "auto"}, where="Test")
    assert by_predictions(project.settings.override({"strategy": "predictions:0.8,random:0.2"}, where="Test"))
    assert not by_predictions(defaults)
    store = ProjectStore(tmp_path, "8.1700000000")
    assert not is_by_predictions(None, defaults)
    store.set_extra_params({"strategy": "predictions"})
    assert is_by_predictions(store, defaults)
    store.set_extra_params({"strategy": "nonsense"})
    assert not is_by_predictions(store, defaults)


def test_notes_of_older_releases_know_no_predictions() -> None:
    assert Seen(**{"tasks": 1, "annotations": 2, "newest": "x"}) == Seen(1, 2, "x", predictions="")
