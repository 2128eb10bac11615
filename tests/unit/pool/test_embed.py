"""Embedding a pool: each row once, whatever comes in between."""

import errno
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock
from support.tables import headline_rows, pool_of, write_picture, write_table

from ml_backend.encoders.text_vectors import encode
from ml_backend.errors import DataError, StoreError
from ml_backend.files import AtomicWriter
from ml_backend.models.vectors import read_parts
from ml_backend.pool import workers
from ml_backend.pool.embed import EmbedOptions, embed
from ml_backend.pool.encoders import BESIDE, GREY, NO_TEXT, PARTS, PIXELS, TEXT, PoolEncoder
from ml_backend.pool.marks import differ, file_times, picture_marks
from ml_backend.pool.source import Source
from ml_backend.pool.state import state_in
from ml_backend.pool.vectors import About, Vectors

LIGHT = PoolEncoder(TEXT, "wordllama")
SMALL_PARTS = EmbedOptions(part_rows=10)


@pytest.fixture
def vectors(tmp_path):
    return Vectors(tmp_path / "pool" / "wordllama")


@pytest.fixture
def table(tmp_path):
    """Two files, read one after the other."""
    write_table(tmp_path / "p" / "1.parquet", headline_rows(20))
    return write_table(tmp_path / "p" / "2.parquet", headline_rows(20, 20)).parent


def source(place):
    return Source(pool_of(place))


def read(vectors):
    return {row: part[i] for ids, part in vectors.batches() for i, row in enumerate(ids.to_pylist())}


def all_ids(vectors):
    return sorted(row for batch in vectors.ids() for row in batch.to_pylist())


def test_vectors_are_those_of_the_encoder(table, vectors):
    seen = []
    done = embed(source(table), vectors, LIGHT, progress=lambda done, total: seen.append((done, total)))
    assert (done.rows, done.new, done.bad, done.gone) == (40, 40, 0, 0)
    assert vectors.about() == About("wordllama", "wordllama", 256)
    found = read(vectors)
    rows = dict(headline_rows())
    assert found.keys() == rows.keys()
    assert np.array_equal(np.stack([found[row] for row in rows]), encode("wordllama", list(rows.values())))
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)
    state = state_in(vectors.folder.parent)
    assert state.finished
    assert (state.done, state.rows, state.bad) == (40, 40, 0)


ODD_TEXTS = (
    *(
        None,
        "",
        "  ",
        " a storm",
        "a storm ",
        "a storm\n",
        "two  spaces",
        "\u3000storm\u3000",
        "a\tstorm \t b",
        "<s> a",
    ),
    *("Grüße aus Köln", "嵐が来る", "storm " * 800 + "harbour " * 800 + "end", "x" * 4999 + " y z", "x" * 40, "a▁b"),
)


@pytest.mark.parametrize("texts", [ODD_TEXTS, [None, None], [""], []])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_column_of_texts_gives_what_its_texts_give_one_by_one(texts, kind):
    """More than are computed at once, and not from the beginning of the memory that they lie in."""
    rows = [*texts, *(text for _, text in headline_rows(1100))] if len(texts) > 2 else list(texts)
    wanted, reasons = LIGHT.vectors(rows)
    for _ in range(2):  # words are new, and then known
        found, told = LIGHT.vectors_of([pa.array(["before", *rows], kind).slice(1)])
        assert found.dtype == wanted.dtype
        assert np.array_equal(found.view(np.uint16), wanted.view(np.uint16))
        assert told == reasons


def children():
    """Processes that any thread of this one started."""
    threads = Path("/proc/self/task").iterdir()
    return {child for thread in threads for child in (thread / "children").read_text().split()}


def test_a_light_encoder_embeds_many_rows_without_starting_processes(tmp_path, vectors):
    """More than are embedded without processes of other encoders."""
    rows, started, before = headline_rows(workers.IN_PROCESS + 200), set(), children()
    place = write_table(tmp_path / "p" / "1.parquet", rows).parent
    assert embed(source(place), vectors, LIGHT, progress=lambda *_: started.update(children())).new == len(rows)
    assert started <= before
    found, some = read(vectors), rows[::500]
    assert found.keys() == dict(rows).keys()
    assert np.allclose([found[row] for row, _ in some], encode("wordllama", [text for _, text in some]), atol=1e-3)


def test_only_new_rows_are_embedded_when_the_pool_grows(table, vectors):
    embed(source(table), vectors, LIGHT)
    before = {path: path.stat().st_mtime_ns for path in vectors.parts()}
    write_table(table / "3.parquet", headline_rows(5, 40))
    done = embed(source(table), vectors, LIGHT)
    assert (done.rows, done.new) == (45, 5)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in vectors.parts()}.items()
    assert embed(source(table), vectors, LIGHT).new == 0
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows(45))


class Stopped(BaseException):
    """Somebody pressed Ctrl-C."""


def test_broken_off_work_goes_on_where_it_was(table, vectors):
    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        embed(source(table), vectors, LIGHT, SMALL_PARTS, progress=stop)
    kept = vectors.count()
    assert 0 < kept < 40
    assert embed(source(table), vectors, LIGHT).new == 40 - kept
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows())


def test_a_file_that_is_cut_off_while_it_is_embedded_is_told_and_what_is_kept_is_right(tmp_path, vectors):
    path = write_table(tmp_path / "p" / "a.csv", headline_rows(40))
    pool, whole = pool_of(path), path.read_bytes()

    def cut(done, total):
        path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DataError, match=r"a\.csv was changed .* while the pool was read"):
        embed(Source(pool), vectors, LIGHT, progress=cut)
    path.write_bytes(whole)
    assert embed(Source(pool), vectors, LIGHT).rows == 40
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows())


@pytest.mark.parametrize("step", ["sync", "rename"])
def test_a_full_disk_loses_what_was_in_hand_and_nothing_else(table, vectors, step):
    embed(source(table / "1.parquet"), vectors, LIGHT)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match="No space left on device"):
        embed(source(table), Vectors(vectors.folder, writer=AtomicWriter(**{step: full})), LIGHT)
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows(20))
    assert embed(source(table), vectors, LIGHT).new == 20


def test_rows_that_cannot_be_read_are_kept_apart_with_their_reason(tmp_path, vectors):
    rows = [*headline_rows(3), ("empty", "  "), ("none", None)]
    place = write_table(tmp_path / "a.parquet", rows)
    done = embed(source(place), vectors, LIGHT)
    assert (done.new, done.bad) == (3, 2)
    assert sorted(vectors.bad()) == [
        ("empty", "The text is empty; there is nothing to classify"),
        ("none", NO_TEXT),
    ]
    assert embed(source(place), vectors, LIGHT).bad == 0  # they are known
    write_table(place, [*headline_rows(3), ("empty", "no more"), ("none", None)])
    again = embed(source(place), vectors, LIGHT, EmbedOptions(retry_bad=True))
    assert (again.new, again.bad) == (1, 1)


def test_pictures_that_cannot_be_decoded_are_kept_apart(tmp_path):
    for number in range(3):
        write_picture(tmp_path / "p" / f"{number}.png", (number * 60, 0, 0), side=28)
    (tmp_path / "p" / "broken.png").write_bytes(b"\x89PNG broken")
    vectors = Vectors(tmp_path / "pool" / GREY)
    done = embed(source(tmp_path / "p"), vectors, PoolEncoder(PIXELS, GREY))
    assert (done.new, done.bad) == (3, 1)
    ((row, reason),) = vectors.bad()
    assert row == "broken.png"
    assert "Not a readable image" in reason
    assert {row: set(pixels.tolist()) for row, pixels in read(vectors).items()}["2.png"] == {
        36.0
    }  # grey of (120, 0, 0)


def test_rows_that_are_gone_are_taken_out_unless_most_are(table, vectors):
    embed(source(table), vectors, LIGHT)
    write_table(table / "2.parquet", headline_rows(15, 20))
    assert embed(source(table), vectors, LIGHT).gone == 5
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows(35))
    (table / "1.parquet").unlink()
    with pytest.raises(
        StoreError, match=r"20 of 35 rows that were embedded are not in the pool any more.*--allow-gone"
    ):
        embed(source(table), vectors, LIGHT)
    assert vectors.count() == 35
    assert embed(source(table), vectors, LIGHT, EmbedOptions(allow_gone=True)).gone == 20


def test_rows_in_which_something_else_stands_are_embedded_anew(table, vectors):
    embed(source(table), vectors, LIGHT, SMALL_PARTS)
    before = read(vectors)
    rows = [*headline_rows(15, 20), ("r35", "cricket match"), ("r36", ""), *headline_rows(3, 37)]
    write_table(table / "2.parquet", rows)
    done = embed(source(table), vectors, LIGHT)
    assert (done.rows, done.new, done.bad, done.gone, done.changed) == (40, 1, 1, 0, 2)
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows())
    found = read(vectors)
    assert np.array_equal(found.pop("r35"), encode("wordllama", ["cricket match"])[0])
    assert all(np.array_equal(found[row], before[row]) for row in found)
    assert [row for row, _ in vectors.bad()] == ["r36"]
    write_table(table / "2.parquet", headline_rows(20, 20))
    assert embed(source(table), vectors, LIGHT).changed == 2
    assert all(np.array_equal(vector, before[row]) for row, vector in read(vectors).items())
    assert embed(source(table), vectors, LIGHT).changed == 0


def test_a_picture_file_of_another_size_is_embedded_anew(tmp_path):
    for number in range(3):
        write_picture(tmp_path / "p" / f"{number}.png", (number * 60, 0, 0), side=28)
    vectors = Vectors(tmp_path / "pool" / GREY)
    embed(source(tmp_path / "p"), vectors, PoolEncoder(PIXELS, GREY))
    write_picture(tmp_path / "p" / "1.png", (250, 250, 250), side=40)
    assert embed(source(tmp_path / "p"), vectors, PoolEncoder(PIXELS, GREY)).changed == 1
    assert set(read(vectors)["1.png"].tolist()) == {250.0}


def test_another_picture_of_the_same_size_is_embedded_anew(tmp_path):
    path, before = tmp_path / "p" / "1.bmp", 1_700_000_000
    for number in range(3):
        write_picture(path.with_name(f"{number}.bmp"), (number * 60, 0, 0), side=28)
        os.utime(path.with_name(f"{number}.bmp"), (before, before))
    vectors, encoder, pool = Vectors(tmp_path / "pool" / GREY), PoolEncoder(PIXELS, GREY), pool_of(path.parent)
    embed(Source(pool), vectors, encoder)
    size = path.stat().st_size
    write_picture(path, (250, 250, 250), side=28)
    os.utime(path, (before + 1, before + 1))
    assert path.stat().st_size == size
    assert embed(Source(pool), vectors, encoder).changed == 1
    assert set(read(vectors)["1.bmp"].tolist()) == {250.0}
    assert embed(Source(pool), vectors, encoder).changed == 0

    # A copy has other times; whoever keeps the vectors says that it is the same. From then on they count again.
    later = datetime.fromtimestamp(before + 100, UTC).isoformat()
    for number in range(3):
        os.utime(path.with_name(f"{number}.bmp"), (before + 50, before + 50))
    moved = Source(replace(pool, moved_at=later))
    assert embed(moved, vectors, encoder).changed == 0
    os.utime(path, (before + 200, before + 200))
    assert embed(moved, vectors, encoder).changed == 1


def test_marks_of_earlier_releases_say_nothing_of_the_time(tmp_path):
    path = write_picture(tmp_path / "1.bmp")
    size = path.stat().st_size
    now = picture_marks([*file_times([str(path)]), 0, *file_times([str(tmp_path / "gone.bmp")])], [size, size, None])
    assert differ(np.full(3, size + 1, np.uint64), now).tolist() == [False, False, True]
    assert differ(np.zeros(3, np.uint64), now).tolist() == [False, False, False]
    os.utime(path, (5, 5))
    later = picture_marks([*file_times([str(path)] * 2), 0], [size, size, None])
    assert differ(now, later).tolist() == [True, False, False]


def test_several_texts_stand_side_by_side(tmp_path):
    rows = [("a", "storm", "flood warning"), ("b", "sport", "cricket match"), ("c", "sport", ""), ("d", "", "rain")]
    place = write_table(tmp_path / "a.parquet", rows, columns=("id", "title", "text"))
    pool = replace(pool_of(place, fields={"title": "title", "text": "text"}), learnt=("text", "title"))
    encoder = PoolEncoder(PARTS, "wordllama" + BESIDE, 2)
    vectors = Vectors(tmp_path / "vectors")
    done = embed(Source(pool), vectors, encoder)
    assert (done.new, done.bad) == (2, 2)
    assert vectors.about() == About("wordllama, side by side", "wordllama, side by side", 512)
    assert dict(vectors.bad()) == {
        "c": "Text 1 of 2: The text is empty; there is nothing to classify",
        "d": "Text 2 of 2: The text is empty; there is nothing to classify",
    }
    found = read(vectors)
    for row, title, text in rows[:2]:
        (expected,) = read_parts([[("Text", text), ("Text", title)]], "wordllama")  # as tasks are read
        assert found[row] == pytest.approx(expected, abs=1e-3)
    rows[1] = ("b", "news", "cricket match")
    write_table(place, rows, columns=("id", "title", "text"))
    assert embed(Source(pool), vectors, encoder).changed == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a", "x"), ("b", "y"), ("a", "z")], r"1 ids in the column 'id' .* more than once: 'a' \(2 times\)"),
        ([("a", "x"), (None, "y"), ("", "z")], r"2 of 3 rows .* have no id in the column 'id' \(the first after 'a'\)"),
    ],
    ids=["doubled", "missing"],
)
def test_ids_that_tell_no_row_from_others_are_refused(tmp_path, vectors, rows, told):
    place = write_table(tmp_path / "p" / "a.parquet", headline_rows(3))
    embed(source(place), vectors, LIGHT)
    write_table(place, rows)
    with pytest.raises(DataError, match=told):
        embed(source(place), vectors, LIGHT)
    assert vectors.count() == 3


def test_a_file_whose_ids_are_of_another_type_is_not_read_as_less(table, vectors):
    pool = pool_of(table)
    other = write_table(table / "3.parquet", [(1.5, "x")])
    with pytest.raises(DataError, match=r"3\.parquet is Float64, and that of \S+/1\.parquet String"):
        embed(Source(pool), vectors, LIGHT)
    other.unlink()
    write_table(table / "4.parquet", [("a", "x")], columns=("key", "text"))
    with pytest.raises(DataError, match="have no id in the column 'id'"):
        embed(Source(pool), vectors, LIGHT)


def test_two_at_once_and_another_encoder_are_refused(table, vectors):
    vectors.folder.parent.mkdir(parents=True)
    with FileLock(vectors.folder.parent / "lock"), pytest.raises(StoreError, match="Another process is embedding"):
        embed(source(table), vectors, LIGHT)
    vectors.start(About("wordllama", "wordllama@1", 256))
    with pytest.raises(StoreError, match=r"were made by wordllama@1 .*delete the folder"):
        embed(source(table), vectors, LIGHT)
    shutil.rmtree(vectors.folder)
    assert embed(source(table), vectors, LIGHT).new == 40


def test_a_pool_that_cannot_be_reached_leaves_all_as_it_was(table, vectors):
    pool = pool_of(table)
    embed(Source(pool), vectors, LIGHT)
    shutil.rmtree(table)
    with pytest.raises(DataError, match="does not exist"):
        embed(Source(pool), vectors, LIGHT)
    assert vectors.count() == 40


def test_when_the_time_is_up_another_call_goes_on(table, vectors):
    some = embed(source(table), vectors, LIGHT, EmbedOptions(seconds=0, part_rows=10))
    assert 0 < some.new < 40
    assert some.left == 40 - some.new
    assert not state_in(vectors.folder.parent).finished
    rest = embed(source(table), vectors, LIGHT)
    assert (rest.new, rest.left) == (some.left, 0)
    assert state_in(vectors.folder.parent).finished
    assert all_ids(vectors) == sorted(row for row, _ in headline_rows())
