"""The table of the grocery photographs: what is read, and what is wrong with it."""

import pytest
from support.groceries import few_groceries

from ml_backend.errors import DataError
from ml_backend.simulation.photo_table import Photograph, holds_photographs, read_photographs

HEADER = "path,label,official_split"


def test_rows_with_their_split(tmp_path):
    assert not holds_photographs(tmp_path)
    rows = read_photographs(few_groceries(tmp_path))
    assert holds_photographs(tmp_path)
    assert rows[0] == Photograph("Pear/train 0.jpg", "Pear", test=False)
    assert [row.test for row in rows] == [False, False, True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No grocery photographs"),
        (HEADER, "each row needs path, label, official_split"),
        ("path,label\nPear/train 0.jpg,Pear", "each row needs"),
        (f"{HEADER}\nPear/train 0.jpg,,train", "each row needs"),
        (f"{HEADER}\nPear/none.jpg,Pear,train", 'row 2: no file "Pear/none.jpg"'),
        (f"{HEADER}\n../groceries.csv,Pear,train", r"row 2: no file"),
        (f"{HEADER}\n/etc/hostname,Pear,train", r"row 2: no file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    table = few_groceries(tmp_path) / "groceries.csv"
    table.unlink()
    if content is not None:
        table.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_photographs(tmp_path)
