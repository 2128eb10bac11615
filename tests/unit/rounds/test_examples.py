"""Answers that cannot be read leave out themselves, and nothing else."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from support.places import REPOSITORY

from ml_backend.label_studio.answers import annotation_result
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_rows import task_from_row
from ml_backend.records import Annotation, Task
from ml_backend.rounds.examples import divide

QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("Yes", "No"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def region(chosen):
    return [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": chosen}}]


def task(number, *results, cancelled=False):
    annotations = tuple(
        Annotation(10 * number + place, place, NOW, result, cancelled) for place, result in enumerate(results, start=1)
    )
    return Task(number, {"text": str(number)}, bool(results), annotations)


def test_the_task_is_named_and_all_others_count():
    tasks = [task(1, region(["Yes"])), task(2, region(5)), task(3, ["A"]), task(4, None), task(5, region(["No"]))]
    pool = divide(tasks, QUESTION)
    assert [(found.id, label) for found, label in pool.training] == [(1, "Yes"), (5, "No")]
    assert pool.unreadable == {
        2: "annotation 21: its choices are 5, not a list",
        3: "annotation 31: its result holds 'A', not an object",
    }
    assert pool.open == []
    assert pool.size == 5, "the map says how many of all tasks it shows"


def test_the_other_answers_of_the_task_count():
    pool = divide([task(1, region(["No"]), 7, region(["No"]))], QUESTION)
    assert [(found.id, label) for found, label in pool.training] == [(1, "No")]
    assert list(pool.unreadable) == [1]


def test_what_was_skipped_is_not_read():
    assert divide([task(1, 7, cancelled=True)], QUESTION).unreadable == {}


def test_nothing_chosen_says_none_from_the_first_choice_on_and_only_where_the_page_asked():
    tags = ChoiceQuestion("tags", "t", "Text", "text", ("a", "b"), multiple=True)
    other = region(["Yes"])
    results = [
        *(other, [], [*other, {"from_name": "tags", "value": {"choices": []}}]),
        *([*other, {"from_name": "tags", "value": {"choices": ["b"]}}], other),
        *(annotation_result("Yes", QUESTION), annotation_result("Yes", QUESTION, action="0" * 32)),
    ]
    tasks = [
        replace(found, annotations=tuple(replace(a, updated_at=NOW + timedelta(hours=n)) for a in found.annotations))
        for n, found in enumerate(task(n, result) for n, result in enumerate(results))
    ]
    pool = divide(iter(tasks), tags)
    assert [(found.id, label) for found, label in pool.training] == [(1, ""), (2, ""), (3, "b"), (4, "")]
    assert [found.id for found, _ in divide(tasks, QUESTION).training] == [0, 2, 3, 4, 5, 6], "the other as ever"
    required = divide(tasks, replace(tags, required=True))
    assert [(found.id, label) for found, label in required.training] == [(3, "b")]
    assert divide([tasks[0]], tags).training == [], "nobody ever chose"


def test_the_rows_of_the_public_report():
    found = json.loads((REPOSITORY / "tests" / "data" / "cases" / "malformed_results.json").read_text(encoding="utf-8"))
    rows = [
        {
            "id": number,
            "data": row["data"],
            "is_labeled": True,
            "annotations": [
                {"id": number, "updated_at": "2026-01-01T00:00:00Z", **annotation} for annotation in row["annotations"]
            ],
        }
        for number, row in enumerate(found, start=1)
    ]
    pool = divide([task_from_row(row) for row in rows], QUESTION)
    assert set(pool.unreadable) == {1, 2, 3, 4, 5}
    assert pool.training == []
