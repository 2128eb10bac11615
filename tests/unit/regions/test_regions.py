"""Regions, whatever stands in a result; their doubt and overlap, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.detections import box

from ml_backend.regions.doubt import BY_SCORES, Doubt, Missing, Scored, doubts, placed
from ml_backend.regions.overlap import box_of, overlap, span_of
from ml_backend.regions.reading import read_regions, usable_score

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "value", "type", "score", "from_name", "x", "start", "choices"]), inner
        )
    ),
    max_leaves=20,
)


def test_a_box_is_a_region_with_its_label_and_score() -> None:
    (region,) = read_regions([box("a", (1, 2, 3, 4), "Bike", 0.25)]).regions
    assert (region.id, region.controls, region.labels, region.score) == ("a", ("box",), ("Bike",), 0.25)


def test_objects_of_one_id_are_one_region_with_its_lowest_score() -> None:
    place = {"id": "a", "from_name": "rect", "type": "rectangle", "value": {"x": 1}, "score": 0.9}
    name = {"id": "a", "from_name": "name", "type": "labels", "value": {"labels": ["Car"]}, "score": 0.4}
    (region,) = read_regions([place, name, {"type": "relation", "from_id": "a", "to_id": "a"}]).regions
    assert (region.controls, region.labels, region.score) == (("name", "rect"), ("Car",), 0.4)
    assert region.value == {"x": 1, "labels": ["Car"]}


@pytest.mark.parametrize(
    ("score", "wrong"),
    [
        (None, "no score"),
        ("0.7", "a score that is a text"),
        (True, "a score that is no number"),
        ([0.7], "a score that is no number"),
        (math.nan, "a score that is not finite"),
        (math.inf, "a score that is not finite"),
        (-0.1, "a negative score"),
        (87, "a score above 1"),
    ],
)
def test_a_score_that_cannot_be_used_is_named_and_counted(score: Any, wrong: str) -> None:
    assert usable_score(score) == wrong
    read = read_regions([box("a", (0, 0, 1, 1)) | {"score": score}, box("b", (0, 0, 1, 1), score=0.5)])
    assert read.problems == {wrong: 1}
    assert [region.score for region in read.regions] == [None, 0.5]


def test_a_score_beside_the_labels_counts() -> None:
    region = box("a", (0, 0, 1, 1))
    region["value"]["score"] = 0.5
    assert read_regions([region]).regions[0].score == 0.5


def test_what_is_no_region_is_counted() -> None:
    read = read_regions(["x", {"id": "a"}, {"value": {"choices": ["A"]}, "score": 1}])
    assert read.problems == {"a region that is no object": 1, "a region without a value": 1}
    assert [region.labels for region in read.regions] == [("A",)]
    assert read_regions({"a": 1}).problems == {"a result that is no list": 1}
    assert read_regions(None).regions == ()


@given(JSON)
def test_no_result_is_too_odd(result: Any) -> None:
    read = read_regions(result)
    for region in read.regions:
        assert region.score is None or 0 <= region.score <= 1
        overlap(region.value, region.value)


def test_doubts_by_hand() -> None:
    predicted = [Scored((0.9, 0.5), (3, 3), 2), Scored((), (), 1, 0.8), Scored((), (), 0), None]
    expected = {"lowest": [0.5, 0.2], "mean": [0.3, 0.2], "highest": [0.1, 0.2]}
    for measure, values in expected.items():
        found = doubts(predicted, measure)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, [*values, np.nan, np.nan], atol=1e-12)
    counted = doubts([Scored((), (), 1), Scored((), (), 1), Scored((), (), 4), None], "count")
    np.testing.assert_allclose(counted, [0.5, 0.5, 1, np.nan])


@pytest.mark.parametrize(
    ("score", "classes", "wanted"), [(0.5, 2, 1), (1, 2, 0), (1 / 4, 4, 1), (0, 2, 1), (0.5, 1, 1)]
)
def test_entropy_of_the_least_certain_distribution_with_this_score(score: float, classes: int, wanted: float) -> None:
    assert BY_SCORES["entropy"](np.array([score]), np.array([float(classes)])) == pytest.approx(wanted)


@pytest.mark.parametrize("measure", ["lowest", "mean", "highest", "entropy", "count"])
@given(
    st.lists(
        st.none() | st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), max_size=4),
        max_size=8,
    )
)
def test_doubt_is_from_0_to_1_or_not_known(measure: Doubt, rows: list[list[tuple[float, int]] | None]) -> None:
    predicted = [
        None if row is None else Scored(tuple(s for s, _ in row), tuple(c for _, c in row), len(row)) for row in rows
    ]
    found = doubts(predicted, measure)
    known = found[~np.isnan(found)]
    assert found.shape == (len(rows),)
    assert ((known >= 0) & (known <= 1)).all()


@pytest.mark.parametrize(("missing", "order"), [("first", [2, 1, 0]), ("last", [1, 0, 2])])
def test_tasks_without_a_prediction_come_first_or_last(missing: Missing, order: list[int]) -> None:
    found = placed(np.array([0.0, 1.0, np.nan]), missing, np.zeros(3))
    assert np.argsort(-found).tolist() == order


def test_tasks_without_a_prediction_by_chance_are_spread_over_the_others() -> None:
    known = np.linspace(0, 1, 100)
    unknown = np.full(1000, np.nan)
    draws = np.random.default_rng(0).random(1100)
    found = placed(np.concatenate([known, unknown]), "chance", draws)
    assert found[100:].mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(placed(unknown, "chance", draws[:1000]), draws[:1000])


def test_overlap_of_boxes_and_spans_by_hand() -> None:
    left, right = box("a", (0, 0, 10, 10))["value"], box("b", (5, 0, 10, 10))["value"]
    assert overlap(left, right) == pytest.approx(1 / 3)
    assert overlap(left, left) == 1
    assert overlap(left, box("c", (50, 50, 1, 1))["value"]) == 0
    assert overlap({"start": 0, "end": 10}, {"start": 5, "end": 10}) == 0.5
    assert overlap({"start": 3, "end": 3}, {"start": 3, "end": 3}) == 1
    assert overlap(left, {"start": 0, "end": 10}) is None
    assert overlap({"choices": ["A"]}, {"choices": ["A"]}) is None


def test_outlines_are_compared_by_the_boxes_around_them() -> None:
    assert box_of({"points": [[0, 0], [10, 5], [5, 20]]}) == (0, 0, 10, 20)
    assert box_of({"x": 50, "y": 50, "radiusX": 10, "radiusY": 5}) == (40, 45, 60, 55)
    turned = box_of({"x": 10, "y": 10, "width": 4, "height": 2, "rotation": 90})
    assert turned == pytest.approx((8, 10, 10, 14))
    assert box_of({"points": [[0, "a"]]}) is None
    assert box_of({"x": 1, "y": 2, "width": True, "height": 3}) is None


def test_a_span_of_html_is_told_by_its_offsets_in_the_whole() -> None:
    html = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "globalOffsets": {"start": 4, "end": 9}}
    assert span_of(html) == (4, 9)
    assert span_of({"start": "/p[1]", "end": "/p[1]"}) is None
    assert span_of({"start": 9, "end": 4}) is None
