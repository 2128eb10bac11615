"""Pools where they lie: what is found at an address, and its rows."""

import os
from pathlib import Path

import pytest
from processes import free_port
from support.tables import headline_rows, pool_of, write_picture, write_table

from ml_backend.errors import ConfigurationError, DataError
from ml_backend.pool.engine import without_secrets
from ml_backend.pool.listing import address, listing, passed_over
from ml_backend.pool.source import Source, check_columns, schema_of
from ml_backend.pool.tables import check_id_types, with_types


def ids_of(pool):
    return [each for batch in Source(pool).ids() for each in batch.to_pylist()]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_rows_of_a_table(tmp_path, name):
    pool = pool_of(write_table(tmp_path / name, [*headline_rows(5), ("007", "a, b\nc")]))
    source = Source(pool)
    source.check()
    assert ids_of(pool) == ["r0", "r1", "r2", "r3", "r4", "007"]
    found = source.rows(["r3", "007", "gone"])
    assert found == {"r3": {"text": "flood warning number 3"}, "007": {"text": "a, b\nc"}}


def test_numbers_are_ids_too_and_zeros_before_them_stay(tmp_path):
    assert ids_of(pool_of(write_table(tmp_path / "a.parquet", [(7, "x"), (8, "y")]))) == ["7", "8"]
    assert ids_of(pool_of(write_table(tmp_path / "a.csv", [("007", "x"), ("008", "y")]))) == ["007", "008"]


def test_texts_that_look_like_dates_in_one_file_stay_texts(tmp_path):
    write_table(tmp_path / "p" / "a.jsonl", [("k", "x")])
    write_table(tmp_path / "p" / "b.jsonl", [("2024-01-01", "y")])
    check_id_types(listing(address(str(tmp_path / "p"))), "id")
    assert ids_of(pool_of(tmp_path / "p")) == ["k", "2024-01-01"]
    write_table(tmp_path / "p" / "c.jsonl", [(3, "y")])
    with pytest.raises(DataError, match=r"c\.jsonl is Int64, and that of \S+/a\.jsonl String"):
        check_id_types(listing(address(str(tmp_path / "p"))), "id")


def test_a_field_may_have_the_name_of_the_id(tmp_path):
    pool = pool_of(write_table(tmp_path / "a.csv", [("k1", "x")], columns=("key", "id")), "key", {"id": "id"})
    assert Source(pool).rows(["k1"]) == {"k1": {"id": "x"}}


def test_a_folder_of_files(tmp_path):
    write_table(tmp_path / "b" / "1.parquet", headline_rows(3))
    write_table(tmp_path / "b" / "deep" / "2.parquet", headline_rows(3, 3))
    (tmp_path / "b" / "_SUCCESS").touch()
    write_table(tmp_path / "b" / ".tmp-x" / "3.parquet", headline_rows(3, 6))
    found = listing(address(str(tmp_path / "b")))
    assert (found.kind, found.count) == ("parquet", 2)
    assert ids_of(pool_of(tmp_path / "b")) == [f"r{number}" for number in range(6)]
    assert ids_of(pool_of(tmp_path / "b" / "*.parquet")) == ["r0", "r1", "r2"]


def test_each_csv_file_has_columns_of_its_own(tmp_path):
    write_table(tmp_path / "p" / "a.csv", [("1", "x")])
    write_table(tmp_path / "p" / "b.csv", [("y", "more", "2.5")], columns=("text", "other", "id"))
    (tmp_path / "p" / "empty.csv").touch()
    pool = pool_of(tmp_path / "p")
    Source(pool).check()
    assert passed_over(dict(Source(pool).listing.others)) == "1 of .csv (empty)"
    assert Source(pool).rows(["1", "2.5"]) == {"1": {"text": "x"}, "2.5": {"text": "y"}}
    write_table(tmp_path / "p" / "c.csv", [("3", "z")], columns=("id", "title"))
    with pytest.raises(DataError, match=r"c\.csv has no column 'text', only 'id', 'title'"):
        Source(pool).check()


@pytest.mark.parametrize("name", ["a [1]", "b*", "x{1}", "back\\slash"])
def test_names_with_the_signs_of_patterns(tmp_path, name):
    write_table(tmp_path / "b1" / "t.jsonl", headline_rows(3))  # of which b* is a pattern, too
    write_table(tmp_path / name / f"{name}.jsonl", [("1", "x")])
    for place in (tmp_path / name, tmp_path / name / f"{name}.jsonl"):
        assert Source(pool_of(place)).rows(["1"]) == {"1": {"text": "x"}}
    write_picture(tmp_path / name / "p" / f"{name}.png")
    (only,) = ids_of(pool_of(tmp_path / name / "p"))
    assert only == f"{name}.png"
    assert Source(pool_of(tmp_path / name / "p")).rows([only])[only]["image"]


def test_the_address_of_a_file_is_read_as_a_url(tmp_path):
    assert address("file:///data/my%20pool") == "/data/my pool"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"id,text\n1,a\n2,b,c\n", r"row of a CSV file has 3 columns, and those before it 2 \(line 3\)"),
        ("a.csv", "id,text\n1,a\n".encode("utf-16"), "not UTF-8"),
        ("a.csv", b"id,text,text\n1,a,b\n", "two columns 'text'"),
        ("a.csv.gz", b"id,text\n1,a\n", "a compressed file is damaged"),
        ("a.jsonl", b'{"id":"1","text":"secret-word"}\n{"id":"2","te', "a line of a JSON Lines file is empty, damaged"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_and_what_to_do(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told) as raised:
        ids_of(pool_of(tmp_path / name))
    assert "secret-word" not in str(raised.value)


def test_the_file_that_cannot_be_read_is_named(tmp_path):
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.jsonl", [(name, "x")])
    pool = pool_of(tmp_path)
    with (tmp_path / "b.jsonl").open("a") as file:
        file.write('{"id":"2","te')
    with pytest.raises(DataError, match=r"wait until the file is whole\. It is \S+/b\.jsonl\.$"):
        ids_of(pool)
    (tmp_path / "a.jsonl").write_text('{"id":"2","te')
    with pytest.raises(DataError, match=r"wait until the file is whole\. It is \S+/a\.jsonl\.$"):
        schema_of(listing(str(tmp_path)))


def test_a_failure_among_pictures_does_not_list_them_again(tmp_path):
    write_picture(tmp_path / "a.png")
    source = Source(pool_of(tmp_path))
    with pytest.raises(DataError, match="unreachable"), source.reading():
        raise DataError("unreachable")
    assert "listing" not in vars(source), "of a bucket that takes minutes, or waits for nobody once more"


def cut(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def grow(path):
    with path.open("ab") as file:
        file.write(b"9,more\n")


def replace_alike(path):
    """By a file of the same size, which is written beside and renamed."""
    content, before = path.read_bytes(), path.stat().st_mtime_ns
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(before + 1, before + 1))
    other.rename(path)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("b.csv", cut, r"b\.csv was changed \(\S+ bytes before, \S+ after\)"),
        ("b.csv", grow, r"b\.csv was changed \(\S+ bytes before, \S+ after\)"),
        ("b.parquet", replace_alike, r"b\.parquet was changed"),
        ("b.jsonl", Path.unlink, r"b\.jsonl was taken away"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, name, change, told):
    path = write_table(tmp_path / name, headline_rows())
    write_table(path.with_stem("a"), headline_rows(5, 40))
    pool = pool_of(tmp_path)
    for read in (Source(pool).ids(), Source(pool).marks()):
        next(read)
        change(path)
        with pytest.raises(DataError, match=f"{told} while the pool was read"):
            list(read)
        write_table(path, headline_rows())
    assert len(Source(pool).rows(["r1", "r41"])) == 2


def test_a_file_that_is_changed_and_can_be_read_no_more_is_told_as_changed(tmp_path):
    path = write_table(tmp_path / "a.parquet", headline_rows())
    source = Source(pool_of(path))
    source.check()
    cut(path)
    with pytest.raises(DataError, match=r"a\.parquet was changed"):
        source.rows(["r1"])


def test_a_bracket_that_is_not_closed_is_told(tmp_path):
    with pytest.raises(DataError, match="a bracket that is not closed"):
        listing(f"{tmp_path}/[")


def test_a_link_in_a_circle_is_told(tmp_path):
    write_table(tmp_path / "p" / "a.csv", [("1", "x")])
    (tmp_path / "p" / "again").symlink_to(tmp_path / "p")
    with pytest.raises(DataError, match="a link in it leads in a circle"):
        listing(str(tmp_path / "p"))


def test_the_separator_of_a_table_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("id;text\n1;a\n", encoding="utf-8")
    with pytest.raises(DataError, match="separated by semicolons"):
        check_columns(schema_of(listing(str(tmp_path / "a.csv"))), "id", {"text": "text"}, "place")


def test_pictures_are_known_by_their_paths(tmp_path):
    write_picture(tmp_path / "p" / "red one.png")
    write_picture(tmp_path / "p" / "more" / "ü.jpg")
    (tmp_path / "p" / "notes.txt").write_text("no picture")
    pool = pool_of(tmp_path / "p")
    assert sorted(ids_of(pool)) == ["more/ü.jpg", "red one.png"]
    found = Source(pool).rows(["more/ü.jpg"])
    assert found == {"more/ü.jpg": {"image": (tmp_path / "p" / "more" / "ü.jpg").read_bytes()}}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "is empty"),
        ("ftp://host/x", "no address of a pool"),
        ("s3://AKIA:secret-word@bucket/x", "holds credentials"),
        ("https://host/x.csv?sig=secret-word", "holds credentials"),
        ("s3://AKIA:secret-word/with-a-slash@bucket/x", "holds credentials"),
        ("s3://[secret-word/x", "is no URL"),
    ],
)
def test_addresses_that_are_refused(url, told):
    with pytest.raises(ConfigurationError, match=told) as raised:
        address(url)
    assert "secret-word" not in str(raised.value)


def test_nothing_there_several_kinds_and_half_a_file_are_told(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        listing(str(tmp_path / "no"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds nothing that can be read"):
        listing(str(tmp_path / "empty"))
    whole = write_table(tmp_path / "two" / "a.parquet", headline_rows())
    write_table(tmp_path / "two" / "a.csv", headline_rows())
    with pytest.raises(DataError, match="several kinds of files"):
        listing(str(tmp_path / "two"))
    whole.rename(tmp_path / "whole")
    write_picture(tmp_path / "two" / "a.png")
    with pytest.raises(DataError, match=r"several kinds of files.*\*\.csv"):
        listing(str(tmp_path / "two"))
    (tmp_path / "whole").rename(whole)
    (tmp_path / "half.parquet").write_bytes(whole.read_bytes()[:500])
    with pytest.raises(DataError, match=r"half\.parquet.*damaged, or is still being written"):
        schema_of(listing(str(tmp_path / "half.parquet")))


def test_files_of_other_kinds_are_told(tmp_path):
    for name in ("1.HEIC", "2.heic", "notes.txt", ".hidden"):
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"it has 2 of \.heic, 1 of \.txt\. Check"):
        listing(str(tmp_path))
    write_picture(tmp_path / "3.png")
    assert listing(str(tmp_path)).others == ((".heic", 2), (".txt", 1))


def test_columns_that_cannot_be_used_are_told(tmp_path):
    path = write_table(tmp_path / "a.parquet", [(1.5, "x", 3)], columns=("id", "text", "number"))
    found = schema_of(listing(str(path)))
    for id_column, field, told in (
        ("key", "text", "no column 'key'; it has 'id', 'text', 'number'"),
        ("id", "text", "ids are texts or whole numbers"),
        ("number", "number", "no text"),
    ):
        with pytest.raises(DataError, match=told):
            check_columns(found, id_column, {"text": field}, "place")
    check_columns(found, "id", {"text": "number"}, "place", typed=False)


def test_a_renamed_column_a_new_type_and_another_kind_are_told(tmp_path):
    path = write_table(tmp_path / "p" / "a.parquet", headline_rows())
    pool = pool_of(tmp_path / "p")
    write_table(path, headline_rows(), columns=("id", "title"))
    with pytest.raises(DataError, match=r"no column 'text' any more, only 'id', 'title'"):
        Source(pool).check()
    write_table(path, [(1, "x")])
    with pytest.raises(DataError, match="was String when the pool was connected, and is now Int64"):
        Source(pool).check()
    path.unlink()
    write_table(tmp_path / "p" / "a.csv", headline_rows())
    with pytest.raises(DataError, match="held parquet when it was connected, and now csv"):
        Source(pool).check()
    (tmp_path / "p" / "a.csv").unlink()
    with pytest.raises(DataError, match="holds nothing"):
        Source(pool).check()


def test_a_bucket_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-word")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(DataError, match="s3://bucket/x cannot be read: nobody answers there") as raised:
        listing("s3://bucket/x")
    assert "secret-word" not in str(raised.value)


def test_secrets_are_not_repeated():
    text = "s3://AK:word1@b/x?X-Amz-Signature=word2 secret_access_key: word3, token=word4"
    told = without_secrets(text)
    assert not any(word in told for word in ("word1", "word2", "word3", "word4"))


def test_of_many_columns_the_first_are_named_and_the_others_counted(tmp_path):
    path = write_table(tmp_path / "a.csv", [tuple("x" * 2_000)], columns=tuple(f"c{each}" for each in range(2_000)))
    with pytest.raises(DataError, match=r"no column 'id'; it has 'c0', .*'c19' and 1,980 more\."):
        check_columns(schema_of(listing(str(path))), "id", {"text": "c0"}, "place")
    many = {f"c{each}": "Int64" for each in range(30)}
    assert with_types(many, "parquet").startswith("c0 (Int64), c1 (Int64),")
    assert with_types(many, "csv").endswith("c18, c19 and 10 more")
