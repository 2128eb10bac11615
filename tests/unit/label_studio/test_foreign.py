"""Other models' predictions: whose they are, which one counts, what of it can be shown; any labeling config."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from support.detections import CONFIG, box

from ml_backend.errors import LabelConfigError, LabelStudioUnanswerable
from ml_backend.label_studio.foreign import foreign_row, is_foreign, newest_of, read_foreign, shown_result
from ml_backend.label_studio.layout import Layout, read_layout
from ml_backend.records import CONTROL, Prediction


def row(number: int, task: int, version: str | None, created: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return {"id": number, "task": task, "model_version": version, "created_at": created, "result": [], **more}


@pytest.mark.parametrize(
    ("version", "foreign"),
    [("yolo-3", True), ("", True), (None, True), ("untrained", False), ("start.predictions-0001", False)],
)
def test_whose_a_prediction_is(version: str | None, foreign: bool) -> None:
    assert is_foreign(version) is foreign


def test_of_each_task_the_newest_prediction_that_is_not_ours_counts() -> None:
    rows = [
        row(1, 10, "a", "2026-01-02"),
        row(2, 10, "b", "2026-01-01"),
        row(3, 10, "start.predictions-0001", "2026-02-01"),
        row(4, 11, None),
        row(5, 12, "untrained"),
    ]
    found = newest_of(rows)
    assert {task: each.id for task, each in found.by_task.items()} == {10: 1, 11: 4}
    assert (found.versions, found.contradictory) == ({"a": 1, "": 1}, ())
    assert {task: each.id for task, each in newest_of(rows, "b").by_task.items()} == {10: 2}


def test_predictions_of_one_version_that_differ_are_told_and_the_newest_counts() -> None:
    rows = [row(1, 10, "a", result=[box("x", (0, 0, 1, 1))]), row(2, 10, "a"), row(3, 11, "a"), row(4, 11, "a")]
    found = newest_of(rows)
    assert found.by_task[10].id == 2
    assert found.contradictory == (10,)


def test_what_a_page_cannot_show_is_left_out() -> None:
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    good = box("a", (0, 0, 1, 1), score=0.5)
    odd = [box("b", (0, math.nan, 1, 1)), "text", good | {"id": 7}, good | {"more": deep}]
    assert shown_result([good, *odd]) == [good, good | {"id": "7"}]
    assert shown_result({"a": 1}) == shown_result(None) == []


def test_control_tasks_show_nothing() -> None:
    regions = [box("a", (0, 0, 1, 1))]
    item = Prediction(1, None, 0.0, 0.5, "predictions", "", regions)
    assert foreign_row(item, "q", prelabel=True) == {"result": regions, "score": 0.5, "model_version": "q"}
    assert foreign_row(item, "q", prelabel=False)["result"] == []
    assert foreign_row(Prediction(1, None, 0.0, 0.5, CONTROL, "", regions), "q", prelabel=True)["result"] == []
    assert foreign_row(Prediction(1, None, 0.0, 0.5), "q", prelabel=True)["result"] == []


def test_the_layout_of_any_config() -> None:
    assert read_layout(CONFIG) == Layout({"box": ("Car", "Bike", "Bus")}, "Image", "image", "")
    ner = '<View><Labels name="ner" toName="t"><Label value="PER"/></Labels><Text name="t" value="$text"/></View>'
    assert read_layout(ner) == Layout({"ner": ("PER",)}, "Text", "text", "text")
    sound = '<View><Audio name="a" value="$sound"/><TextArea name="said" toName="a"/></View>'
    assert read_layout(sound) == Layout({"said": ()}, "Audio", "sound", "")
    by_url = '<View><Text name="t" value="$t" valueType="url"/><Rating name="r" toName="t"/></View>'
    assert read_layout(by_url).text_field == ""


@pytest.mark.parametrize("xml", ["", "<View>", '<View><Image name="a" value="$b"/></View>'])
def test_a_config_that_asks_nothing_is_refused(xml: str) -> None:
    with pytest.raises(LabelConfigError, match=r"project 7 .*Settings > Labeling Interface"):
        read_layout(xml, project=7)


class TooMany:
    """A client of a project whose predictions are too many for one answer."""

    def predictions(self, project_id: int, *, most_bytes: int) -> list[dict[str, Any]]:
        raise LabelStudioUnanswerable(f"project {project_id}: more than {most_bytes} bytes")

    def task_predictions(self, project_id: int, left_out: Any) -> Iterator[list[dict[str, Any]]]:
        del project_id
        left_out(12)
        yield [{"id": 10, "predictions": [{"id": 1, "model_version": "a", "result": [], "created_at": "2026-01-01"}]}]
        yield [{"id": 11, "predictions": None}]


def test_predictions_that_are_too_many_for_one_answer_are_read_by_pages_of_tasks() -> None:
    client: Any = TooMany()
    found = read_foreign(client, 7)
    assert {task: each.id for task, each in found.by_task.items()} == {10: 1}
