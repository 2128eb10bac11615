"""Fields of tasks as labeling configs name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.label_studio.task_fields import FIELD, field_value, top_field, with_field

names = st.text("abc_0", min_size=1, max_size=3)
parts = st.one_of(names.map(lambda name: f".{name}"), st.integers(0, 3).map(lambda number: f"[{number}]"))
fields = st.tuples(names, st.lists(parts, max_size=3)).map(lambda found: found[0] + "".join(found[1]))
data = st.dictionaries(names, st.text(max_size=3) | st.lists(st.text(max_size=2)) | st.none(), max_size=3)


@given(fields, data)
def test_what_is_put_into_a_field_is_found_there_and_the_rest_stays(field, before):
    assert FIELD.fullmatch(f"${field}")
    after = with_field(before, field, "x")
    assert field_value(after, field) == "x"
    assert {name: value for name, value in before.items() if name not in (field, top_field(field))}.items() <= (
        after.items()
    )


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("a", {"a": 0}, 0),
        ("a.b", {"a": {"b": "x"}}, "x"),
        ("a[1]", {"a": ["x", "y"]}, "y"),
        ("a[2]", {"a": ["x", "y"]}, None),
        ("a[0].b", {"a": [{"b": "x"}]}, "x"),
        ("a.b", {"a": "text"}, None),
        ("a[0]", {"a": "text"}, None),
        ("a.b", {"a.b": "direct", "a": {"b": "inside"}}, "direct"),
    ],
)
def test_where_a_field_leads(field, value, found):
    assert field_value(value, field) == found


def test_the_column_of_a_table():
    assert [top_field(field) for field in ("text", "meta.text", "texts[0].x")] == ["text", "meta", "texts"]
