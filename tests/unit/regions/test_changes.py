"""What people corrected: kept, moved, relabelled, removed, added."""

from __future__ import annotations

from typing import Any

import pytest
from support.detections import box

from ml_backend.regions.changes import Changes, compare
from ml_backend.regions.reading import read_regions


def changes(predicted: list[dict[str, Any]], annotated: list[dict[str, Any]]) -> Changes:
    return compare(read_regions(predicted).regions, read_regions(annotated).regions)


def counts(found: Changes) -> tuple[int, int, int, int, int]:
    return found.kept, found.moved, found.relabelled, found.removed, found.added


CAR = box("a", (10, 10, 20, 20), "Car", 0.9)
BIKE = box("b", (60, 60, 20, 20), "Bike", 0.4)


def test_all_that_can_become_of_a_box() -> None:
    same = changes([CAR, BIKE], [box("a", (10, 10, 20, 20)), box("b", (60, 60, 20, 20), "Bike")])
    assert counts(same) == (2, 0, 0, 0, 0)
    assert (same.corrected, same.overlap) == (False, 1)
    assert counts(changes([CAR], [box("a", (12, 10, 20, 20))])) == (0, 1, 0, 0, 0)
    assert counts(changes([CAR], [box("a", (10, 10, 20, 20), "Bus")])) == (0, 0, 1, 0, 0)
    assert counts(changes([CAR, BIKE], [box("a", (10, 10, 20, 20))])) == (1, 0, 0, 1, 0)
    assert counts(changes([CAR], [CAR, BIKE])) == (1, 0, 0, 0, 1)
    assert counts(changes([], [])) == (0, 0, 0, 0, 0)


def test_boxes_that_people_drew_themselves_are_matched_by_their_places_the_closest_first() -> None:
    drawn = [box("x", (11, 10, 20, 20)), box("y", (15, 10, 20, 20)), box("z", (90, 90, 5, 5))]
    found = changes([CAR], drawn)
    assert counts(found) == (0, 1, 0, 0, 2)
    assert found.overlap == pytest.approx(380 / 420)
    assert counts(changes([CAR], [box("x", (40, 40, 20, 20))])) == (0, 0, 0, 1, 1)


def test_spans_of_a_text() -> None:
    def span(name: str, start: int, end: int, label: str) -> dict[str, Any]:
        value = {"start": start, "end": end, "text": "…", "labels": [label]}
        return {"id": name, "from_name": "ner", "to_name": "t", "type": "labels", "value": value}

    predicted = [span("a", 0, 10, "PER"), span("b", 20, 30, "ORG")]
    found = changes(predicted, [span("x", 0, 10, "PER"), span("y", 21, 30, "LOC"), span("z", 50, 60, "ORG")])
    assert counts(found) == (1, 1, 0, 0, 1)
    assert found.overlap == pytest.approx(0.95)


def test_answers_about_the_whole_task() -> None:
    def chosen(label: str, control: str = "c", kind: str = "choices") -> dict[str, Any]:
        return {"from_name": control, "to_name": "t", "type": kind, "value": {kind: [label]}}

    assert counts(changes([chosen("A")], [chosen("A")])) == (1, 0, 0, 0, 0)
    assert counts(changes([chosen("A")], [chosen("B")])) == (0, 0, 1, 0, 0)
    assert counts(changes([chosen("A")], [chosen("A", "other")])) == (0, 0, 0, 1, 1)
    assert counts(changes([chosen("a", kind="text")], [chosen("b", kind="text")])) == (0, 0, 1, 0, 0)


def test_what_has_no_place_that_can_be_compared_is_kept_or_moved() -> None:
    def mask(name: str, points: list[int]) -> dict[str, Any]:
        value = {"format": "rle", "rle": points, "brushlabels": ["Car"]}
        return {"id": name, "from_name": "m", "to_name": "img", "type": "brushlabels", "value": value}

    assert counts(changes([mask("a", [1, 2])], [mask("a", [1, 2])])) == (1, 0, 0, 0, 0)
    assert counts(changes([mask("a", [1, 2])], [mask("a", [1, 3])])) == (0, 1, 0, 0, 0)
    assert counts(changes([mask("a", [1, 2]), mask("b", [5])], [mask("x", [5])])) == (1, 0, 0, 1, 0)


def test_many_regions_are_compared_in_no_time() -> None:
    many = [box(f"p{number}", (number % 90, number // 90, 1, 1)) for number in range(3_000)]
    drawn = [box(f"d{number}", (number % 90, number // 90, 1, 1)) for number in range(3_000)]
    assert counts(changes(many, drawn)) == (3_000, 0, 0, 0, 0)
