"""Vectors that are read where they lie in a file."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_backend.errors import StoreError
from ml_backend.pool.vector_pages import Lying
from ml_backend.pool.vectors import GROUP, VECTOR, About, Vectors

DIMENSIONS = 3


@pytest.fixture
def vectors(tmp_path):
    found = Vectors(tmp_path / "pool" / "minilm")
    found.start(About("minilm", "minilm", DIMENSIONS))
    return found


def keep(vectors, count):
    made = np.random.default_rng(count).normal(size=(count, DIMENSIONS)).astype(np.float16)
    vectors.add(pa.array(map(str, range(count))), made)
    return made


def groups(vectors):
    return [group().vectors for group in vectors.groups()]


@pytest.mark.parametrize("count", [1, 10, 11, 700, GROUP])
def test_all_of_a_group_lie_in_one_page_and_each_is_found(vectors, count):
    made = keep(vectors, count)
    (kept,) = groups(vectors)
    assert isinstance(kept, Lying)
    assert kept.shape == made.shape
    assert np.array_equal(kept.whole(), made)
    assert np.array_equal(np.concatenate([part.copy() for part in kept.blocks(300)]), made)
    for places in (np.array([count - 1, 0]), np.arange(count)[::-1], np.zeros(0, np.int64)):
        assert np.array_equal(kept[places], made[places])


@pytest.mark.parametrize(
    "way",
    [
        {"data_page_size": 1},
        {"compression": "snappy"},
        {"use_dictionary": True},
        {"data_page_version": "2.0"},
        {"use_dictionary": False, "column_encoding": {VECTOR: "BYTE_STREAM_SPLIT"}},
    ],
    ids=["pages", "compressed", "dictionary", "version 2", "split"],
)
def test_what_is_kept_in_another_way_is_unpacked(vectors, way):
    made = keep(vectors, 3000)
    (part,) = vectors.parts()
    plain = {"compression": "none", "use_dictionary": False, "row_group_size": GROUP}
    pq.write_table(pq.read_table(part), part, **(plain | way))
    (kept,) = groups(vectors)
    assert isinstance(kept, np.ndarray)
    assert np.array_equal(kept, made)


def test_where_a_value_may_be_missing_it_is_unpacked(vectors):
    made = keep(vectors, 3000)
    (part,) = vectors.parts()
    table = pq.read_table(part)
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    pq.write_table(table.cast(schema), part, compression="none", use_dictionary=False, data_page_size=1 << 30)
    (kept,) = groups(vectors)
    assert isinstance(kept, np.ndarray)
    assert np.array_equal(kept, made)


def test_a_file_in_its_place_does_not_change_what_was_begun(vectors):
    made = keep(vectors, 100)
    (kept,) = groups(vectors)
    vectors.drop(lambda ids: np.arange(len(ids)) > 50)
    assert np.array_equal(kept.whole(), made)
    (left,) = groups(vectors)
    assert np.array_equal(left.whole(), made[51:])


def test_a_file_that_is_cut_off_meanwhile_is_damaged(vectors):
    keep(vectors, 100)
    (part,) = vectors.parts()
    (kept,) = groups(vectors)
    os.truncate(part, part.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"part-\w+\.parquet is damaged \(it ends amid its vectors\)"):
        kept.whole()
    with pytest.raises(StoreError, match="delete it and call lsal pool embed"):
        kept[np.array([99])]
