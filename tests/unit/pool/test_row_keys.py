"""Rows as numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.draws import draws_for
from ml_backend.pool.row_keys import BYTES_AT_ONCE, row_keys
from ml_backend.records import FIRST_ROW


@given(st.lists(st.text(max_size=30), max_size=30), st.data())
def test_a_key_belongs_to_the_id_not_to_the_batch(ids, data):
    whole = dict(zip(ids, row_keys(ids).tolist(), strict=True))
    some = data.draw(st.permutations(ids))[: len(ids) // 2]
    assert row_keys(some).tolist() == [whole[text] for text in some]


def test_different_ids_have_different_keys_and_none_is_a_tasks_id():
    ids = [str(number) for number in range(100_000)] + ["", "a", "aa", "\0", "\0\0", "á", "x" * 5000, "x" * 5001]
    keys = row_keys(ids)
    assert len(np.unique(keys)) == len(ids)
    assert keys.min() >= FIRST_ROW


def test_draws_of_like_ids_are_spread_evenly():
    draws = draws_for(row_keys([f"s3://bucket/{number:08}.png" for number in range(20_000)]), seed=0)
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    # 2,000 a bin are expected; four standard deviations are 170.
    assert abs(counts - 2000).max() < 170


def test_many_long_ids_are_keyed_in_parts():
    long = ["y" * (BYTES_AT_ONCE // 2) + str(number) for number in range(4)]
    assert row_keys(long).tolist() == [int(row_keys([text])[0]) for text in long]
    assert row_keys(pytest.importorskip("pyarrow").array(long)).tolist() == row_keys(long).tolist()


@given(st.lists(st.text(max_size=30), max_size=30), st.integers(0, 5))
def test_arrow_arrays_are_read_where_they_lie(ids, first):
    pa = pytest.importorskip("pyarrow")
    whole = pa.array(ids, pa.string())
    assert row_keys(whole[first:]).tolist() == row_keys(ids[first:]).tolist()
    assert row_keys(whole.cast(pa.large_string())).tolist() == row_keys(ids).tolist()


def test_keys_never_change():
    # The control order of projects that are there goes by them.
    assert row_keys(["1", "row 17", "é"]).tolist() == KNOWN


KNOWN = [7150204889498880188, 5432511240903732745, 5675218232824450861]
