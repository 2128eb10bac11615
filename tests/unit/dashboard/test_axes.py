"""Axes of the charts: what stands on them, and which points are joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.dashboard.axes import count_axis, number_axis, percent_axis
from ml_backend.dashboard.figures import curve_figure, curve_points

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=9)
COUNTS = st.lists(st.integers(1, 10**7), min_size=1, max_size=9)


@given(SHARES)
def test_no_percentage_stands_twice(values):
    axis = percent_axis(values)
    assert len(set(axis.texts)) == len(axis.texts) >= 2
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert all(0 <= tick <= 1 for tick in axis.ticks)


@given(COUNTS, st.booleans())
def test_no_count_stands_twice_and_none_is_broken(values, by_ratio):
    axis = count_axis(values, by_ratio=by_ratio)
    assert len(set(axis.texts)) == len(axis.texts) >= 1
    assert len(axis.texts) <= 8
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert all(tick == round(tick) for tick in axis.ticks)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=9))
def test_no_number_stands_twice(values):
    axis = number_axis(values)
    assert len(set(axis.texts)) == len(axis.texts) >= 2
    assert max(values) <= axis.high


def test_an_axis_of_labels_begins_where_the_versions_do_and_grows_logarithmic():
    near, far = count_axis([95, 105, 300]), count_axis([20, 50, 4_000])
    assert near.low > 50, "not at 0"
    assert (near.is_log, far.is_log) == (False, True)
    assert far.plotly()["range"] == pytest.approx(np.log10([far.low, far.high]))


def a_version(number, labels, accuracy, *, promoted=True):
    interval = {"low": accuracy - 0.02, "high": accuracy + 0.02}
    return {
        "name": f"v{number}",
        "labels": labels,
        "accuracy": accuracy,
        "promoted": promoted,
        "intervals": {"accuracy": interval},
        "auc": None,
    }


VERSIONS = [
    a_version(1, 95, 0.79),
    a_version(2, 95, 0.795),
    a_version(3, 105, 0.60, promoted=False),
    a_version(4, 105, 0.80),
    a_version(5, 115, 0.81),
]


def test_one_point_a_number_of_labels_and_what_was_held_back_is_on_no_line():
    served, held_back = curve_points(VERSIONS, "accuracy")
    assert [row["name"] for row in served] == ["v2", "v4", "v5"]
    assert [row["name"] for row in held_back] == ["v3"]
    nothing = {"models": [], "curve": []}
    chart = curve_figure({"versions": VERSIONS, "current": "v5", "random": nothing, "labels_saved": None}, "accuracy")
    line, apart = chart["data"]
    assert (line["x"], line["mode"]) == ([95, 105, 115], "lines+markers")
    assert (apart["x"], apart["mode"]) == ([105], "markers")
    assert line["error_y"]["array"] == pytest.approx([0.02] * 3)
    low, high = chart["layout"]["yaxis"]["range"]
    assert low <= 0.58
    assert high >= 0.83
