"""Vectors in files: all of a file or nothing, each id once."""

import errno

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.older_vectors import make_older, without_keys

from ml_backend.errors import StoreError
from ml_backend.files import AtomicWriter
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.vectors import GROUP, KEY, About, Vectors, folder_of, known
from ml_backend.store.project_store import ProjectStore

ABOUT = About("minilm", "minilm", 3)


def arrays(count, start=0):
    ids = pa.array([f"r{number}" for number in range(start, start + count)])
    return ids, np.arange(start * 3, (start + count) * 3, dtype=np.float16).reshape(-1, 3)


def read(vectors):
    return {
        row: vector.tolist()
        for ids, part in vectors.batches()
        for row, vector in zip(ids.to_pylist(), part, strict=True)
    }


@pytest.fixture
def vectors(tmp_path):
    found = Vectors(tmp_path / "pool" / "minilm")
    found.start(ABOUT)
    return found


def test_what_is_kept_comes_back(vectors):
    vectors.add(*arrays(4))
    vectors.add(*arrays(2, 4))
    vectors.add_bad(["x"], ["The text is empty"])
    assert vectors.about() == ABOUT
    assert (vectors.count(), vectors.count_bad()) == (6, 1)
    assert read(vectors) == {f"r{n}": [3.0 * n, 3.0 * n + 1, 3.0 * n + 2] for n in range(6)}
    assert list(vectors.bad()) == [("x", "The text is empty")]
    assert sorted(each for batch in vectors.ids() for each in batch.to_pylist()) == [*(f"r{n}" for n in range(6)), "x"]


def test_a_large_part_comes_in_groups_in_order(vectors):
    count = 2 * GROUP + 5
    vectors.add(pa.array(map(str, range(count))), np.zeros((count, 2), np.float16))
    sizes = [len(ids) for ids, part in vectors.batches() if part.shape == (len(ids), 2)]
    assert sizes == [GROUP, GROUP, 5]
    assert [each for ids, _ in vectors.batches() for each in ids.to_pylist()] == list(map(str, range(count)))


def test_vectors_that_were_kept_as_lists_are_read_beside_new_ones(vectors):
    vectors.add(*arrays(4))
    before = read(vectors)
    (older,) = vectors.parts()
    make_older(older)
    assert read(vectors) == before
    vectors.add(*arrays(2, 4))
    assert read(vectors) == {f"r{n}": [3.0 * n, 3.0 * n + 1, 3.0 * n + 2] for n in range(6)}
    assert sorted(map(len, vectors.alike())) == [1, 1]
    assert vectors.drop(lambda ids: np.array([each != "r1" for each in ids.to_pylist()])) == 1
    assert "r1" not in read(vectors)


def keys(vectors):
    return [key for group in vectors.groups() for key in group().keys.tolist()]


def test_the_numbers_of_rows_lie_beside_them_and_are_made_of_the_ids_where_an_older_file_has_none(vectors):
    ids, rows = arrays(4)
    vectors.add(ids, rows)
    before = read(vectors)
    assert keys(vectors) == row_keys(ids).tolist()
    (part,) = vectors.parts()
    table = pq.read_table(part)
    pq.write_table(table.set_column(1, KEY, pa.array([4, 3, 2, 1])), part)
    assert keys(vectors) == [4, 3, 2, 1], "read, not made"
    without_keys(part)
    assert keys(vectors) == row_keys(ids).tolist()
    assert read(vectors) == before


@pytest.mark.parametrize("column", [pa.array([1, 2, 3, 4], pa.int32()), pa.array([1, 2, 3, None], pa.int64())])
def test_numbers_of_another_kind_are_damage(vectors, column):
    vectors.add(*arrays(4))
    (part,) = vectors.parts()
    pq.write_table(pq.read_table(part).set_column(1, KEY, column), part)
    with pytest.raises(StoreError, match=r"is damaged \(its numbers are int.*delete it and call lsal pool embed"):
        read(vectors)


@pytest.mark.parametrize("column", [pa.array([b"abc"], pa.binary(3)), pa.array([[1.0]], pa.list_(pa.float32(), 1))])
def test_a_part_with_a_column_of_another_kind_is_damaged(vectors, column):
    pq.write_table(pa.table({"id": ["r"], "mark": [0], "vector": column}), vectors.folder / "part-0.parquet")
    with pytest.raises(StoreError, match=r"part-0.parquet is damaged \(its vectors are fixed_size_"):
        read(vectors)


def test_a_part_without_a_vector_is_damaged(vectors):
    column = pa.array([b"abcdef", None], pa.binary(6))
    pq.write_table(pa.table({"id": ["r", "s"], "mark": [0, 0], "vector": column}), vectors.folder / "part-0.parquet")
    with pytest.raises(StoreError, match="1 of 2 vectors are missing"):
        read(vectors)


def test_rows_are_taken_out(vectors):
    vectors.add(*arrays(4))
    vectors.add(*arrays(2, 4))
    vectors.add_bad(["x", "y"], ["a", "b"])
    gone = {"r1", "r4", "r5", "x"}
    assert vectors.drop(lambda ids: np.array([each not in gone for each in ids.to_pylist()])) == 4
    assert set(read(vectors)) == {"r0", "r2", "r3"}
    assert list(vectors.bad()) == [("y", "b")]
    assert len(vectors.parts()) == 1  # one had nothing left


def test_a_part_that_goes_while_others_are_read_is_left_out(vectors):
    for start in range(0, 40, 4):
        vectors.add(*arrays(4, start))
    batches, groups = vectors.batches(), list(vectors.groups())
    first = next(batches)
    vectors.parts()[-1].unlink()
    assert sum(len(ids) for ids, _ in (first, *batches)) == 36
    assert [group() is None for group in groups] == [*(9 * [False]), True]


def test_a_damaged_part_is_named(vectors):
    vectors.add(*arrays(4))
    (part,) = vectors.parts()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"part-\w+\.parquet is damaged .*delete it and call lsal pool embed"):
        vectors.count()
    (vectors.folder / "encoder.json").write_text("{")
    with pytest.raises(StoreError, match=r"damaged .*delete the folder"):
        vectors.about()


def test_a_full_disk_leaves_what_was_there(vectors):
    vectors.add(*arrays(4))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match=r"No space left on device.*what was embedded before is kept"):
        Vectors(vectors.folder, writer=AtomicWriter(rename=full)).add(*arrays(4, 4))
    assert vectors.count() == 4
    assert [path.name for path in vectors.folder.iterdir() if path.name.startswith(".")] == []


def test_each_encoder_has_a_folder_of_its_own(tmp_path):
    store = ProjectStore(tmp_path, "7.17")
    names = ["minilm", "sentence_transformers:/a/b", "sentence_transformers:/a-b", "../x"]
    folders = {folder_of(store, name) for name in names}
    assert len(folders) == 4
    assert {folder.parent for folder in folders} == {store.folder / "pool"}
    Vectors(folder_of(store, "minilm")).start(ABOUT)
    assert [each.about() for each in known(store)] == [ABOUT]
    assert known(ProjectStore(tmp_path, "8.17")) == []
