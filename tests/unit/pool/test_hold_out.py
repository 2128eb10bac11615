"""Evaluation tasks of a pool are a uniform draw of all rows."""

import numpy as np
import pytest
from support.tables import pool_of, write_picture

from ml_backend.draws import draws_for
from ml_backend.errors import DataError
from ml_backend.pool.hold_out import STREAM, drawn_rows, evaluation_rows
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.source import Source
from ml_backend.selection.control_arm import control_order

pa = pytest.importorskip("pyarrow")
IDS = [f"row {number}" for number in range(1000)]


def batches(size):
    for start in range(0, len(IDS), size):
        yield pa.array([*IDS[start : start + size], None])


@pytest.mark.parametrize("size", [1000, 77])
def test_the_draw_is_that_of_all_rows_that_are_no_tasks(size):
    taken = IDS[:100]
    found = drawn_rows(batches(size), row_keys(taken), 20, 0, "here")
    order = np.argsort(-draws_for(row_keys(IDS[100:]), STREAM))
    assert found == [IDS[100 + place] for place in order[: len(found)]]
    assert len(found) >= 20


def test_it_is_another_draw_than_that_of_the_control_arm():
    found = set(row_keys(drawn_rows(batches(1000), row_keys([]), 100, 0, "here")).tolist())
    control = set(control_order(row_keys(IDS), 0, 100).tolist())
    assert len(found & control) < 30  # 11 are expected


def test_more_than_half_of_a_pool_is_not_held_out():
    with pytest.raises(DataError, match=r"has 1,000 rows: 501 more evaluation tasks"):
        drawn_rows(batches(100), row_keys([]), 501, 0, "here")


def test_a_picture_that_cannot_be_read_holds_up_no_other(tmp_path):
    write_picture(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    rows, lost = evaluation_rows(Source(pool_of(tmp_path)), ["empty.png", "good.png", "gone.png"])
    assert [(row["pool_id"], row["split"]) for row in rows] == [("good.png", "evaluation")]
    assert [told.partition(" (")[0] for told in lost] == ["empty.png", "gone.png"]
