"""Answers of several choices: a set of labels, of which the empty one is an answer too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import LabelConfigError
from ml_backend.label_sets import SEPARATOR, pack, shown, unpack
from ml_backend.label_studio.answers import OPEN, annotation_result, read_answer, result_for
from ml_backend.label_studio.labeling_config import ChoiceQuestion, parse_label_config, read_label_config

QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("a", "b", "d"), multiple=True)
REQUIRED = ChoiceQuestion("c", "t", "Text", "text", ("a", "b", "d"), multiple=True, required=True)


def region(chosen, control="c", kind="choices"):
    return {"from_name": control, "to_name": "t", "type": kind, "value": {kind: chosen}}


@given(st.sets(st.sampled_from(["a", "b", "c, d", "", " e "]).filter(bool)), st.booleans())
def test_what_is_written_can_be_read(chosen, nested):
    labels = (" e ", "c, d", "b", "a")
    question = ChoiceQuestion("c", "t", "Text", "text", labels, nested=nested, multiple=True)
    answer = read_answer(result_for(pack(chosen, labels), 0.5, question), question)
    assert answer.labels == tuple(label for label in labels if label in chosen)


@pytest.mark.parametrize(
    ("result", "labels"),
    [
        ([], ()),
        ([region([])], ()),
        ([region(["why"], control="other")], ()),
        ([region(["b", "a"])], ("a", "b")),
        ([region(["b"]), region(["a", "b"])], ("a", "b")),
        ([region([["d"], ["a"]])], ("a", "d")),
        ([region(["gone", "b"])], ("b", "gone")),
    ],
)
def test_answers(result, labels):
    assert read_answer(result, QUESTION).labels == labels


def test_nothing_at_all_is_no_answer():
    assert read_answer(None, QUESTION) == OPEN
    assert OPEN.labels is None


def test_where_a_choice_is_required_none_leaves_the_question_open():
    assert read_answer([], REQUIRED) == OPEN
    assert read_answer([region(["why"], control="other")], REQUIRED) == OPEN
    assert read_answer([region(["a"])], REQUIRED).labels == ("a",)


def test_an_answer_that_we_wrote_to_another_question_is_none_to_this():
    other = ChoiceQuestion("other", "t", "Text", "text", ("why", "not"))
    for written in (annotation_result("why", other), annotation_result("why", other, action="0" * 32)):
        assert read_answer(written, QUESTION) == OPEN
        assert read_answer([*written, region([])], QUESTION).labels == ()
        assert read_answer([*written, region(["b"])], QUESTION).labels == ("b",)
        assert read_answer([*written, region(["why"], control="other")], QUESTION).labels == (), "a page's"
    assert read_answer(annotation_result("", QUESTION), QUESTION).labels == ()


@pytest.mark.parametrize("when", ["choice-selected", "choice-unselected"])
def test_where_the_page_does_not_always_ask_none_leaves_the_question_open(when):
    asked = """<View><Text name="t" value="$t"/><Choices name="o" toName="t"><Choice value="x"/><Choice value="y"/>
    </Choices><View visibleWhen="WHEN" whenTagName="o" whenChoiceValue="x">
    <Choices name="c" toName="t" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices></View></View>"""
    found = read_label_config(asked.replace("WHEN", when))
    (question,) = found.others
    assert (question.multiple, question.none_is_an_answer) == (True, False)
    assert read_answer([region(["x"], control="o")], question) == OPEN
    assert "submitted without it has no label" in found.warnings[0]


def test_what_cannot_be_read_is_told_as_of_a_single_choice():
    assert "its choices are None" in (read_answer([region(["a"]), region(None)], QUESTION).problem or "")


def test_sets_are_shown_as_words():
    assert [shown(pack(chosen, "ab")) for chosen in ((), ("a",), ("b", "a"))] == ["(none)", "a", "a, b"]
    assert unpack("") == ()


def test_no_config_can_hold_the_separator():
    for written in (SEPARATOR, "&#x1f;", "&#31;"):
        with pytest.raises(LabelConfigError):
            parse_label_config(
                f'<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a{written}b"/>'
                '<Choice value="d"/></Choices></View>'
            )
