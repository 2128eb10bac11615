"""How answers are read and written: what cannot be read is not what was left open, and nothing makes it fail."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REPOSITORY

from ml_backend.label_studio.answers import OPEN, label_of, read_answer, result_for
from ml_backend.label_studio.labeling_config import ChoiceQuestion

CASES = REPOSITORY / "tests" / "data" / "cases"
QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"))
NESTED = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"), nested=True)


def results_of(name):
    tasks = json.loads((CASES / name).read_text(encoding="utf-8"))
    return [annotation["result"] for task in tasks for annotation in task["annotations"]]


@given(st.text(min_size=1), st.floats(0, 1), st.booleans())
def test_what_is_written_can_be_read(label, score, nested):
    question = ChoiceQuestion("c", "t", "Text", "text", (label, label + "!"), nested=nested)
    assert label_of(result_for(label, score, question), question) == label


def test_a_result_as_label_studio_wants_it():
    (region,) = result_for("a", 0.98765432, QUESTION)
    assert isinstance(region["id"], str)
    assert region == {
        "id": "choice",
        "from_name": "c",
        "to_name": "t",
        "type": "choices",
        "score": 0.987654,
        "value": {"choices": ["a"]},
    }
    assert result_for("a", 0.5, NESTED)[0]["value"] == {"choices": [["a"]]}


def region(chosen, control="c", kind="choices"):
    return {"from_name": control, "to_name": "t", "type": kind, "value": {kind: chosen}}


@pytest.mark.parametrize(
    ("result", "label"),
    [
        (None, None),
        ([], None),
        ([region(["b"])], "b"),
        ([region(["why"], control="d"), region(["b"])], "b"),
        ([region(["a"], control="d")], None),
        ([region([])], None),
        ([region("a")], "a"),
        ([region([["a"]])], "a"),
        ([region([7])], "7"),
        ([region(["a", "a"]), region(["a"])], "a"),
        ([region(["no longer listed"])], "no longer listed"),
        ([{"id": "relation", "type": "relation"}], None),
        ([{"from_name": "c", "value": {"choices": ["a"]}}], "a"),
    ],
)
def test_an_answer_that_can_be_read(result, label):
    assert read_answer(result, QUESTION) == (
        OPEN if label is None else read_answer(result_for(label, 1, QUESTION), QUESTION)
    )
    assert label_of(result, QUESTION) == label


UNREADABLE = [
    ("x", "not a list"),
    (5, "not a list"),
    ({"from_name": "c"}, "not a list"),
    (["a"], "holds 'a', not an object"),
    ([region(["a"], kind="textarea")], "of the type 'textarea', and has no choices"),
    ([{"from_name": "c", "type": "choices"}], "its value is None"),
    ([region(None)], "its choices are None"),
    ([region(["a", "b"])], "2 choices where one is asked for"),
    ([region(["a"]), region(["b"])], "2 choices where one is asked for"),
    ([region([["a", "sub"]])], "its choice is ['a', 'sub'], not a text"),
    ([region([[["a"]]])], "its choice is ['a'], not a text"),
    ([region([True])], "its choice is True, not a text"),
    ([region([1.5])], "its choice is 1.5, not a text"),
    ([region([None])], "its choice is None, not a text"),
    ([region([10**5000])], "its choice is a int, not a text"),
    ([region(["a"]), region(None)], "its choices are None"),
]


@pytest.mark.parametrize(("result", "problem"), UNREADABLE)
def test_an_answer_that_cannot_be_read_is_no_open_question(result, problem):
    answer = read_answer(result, QUESTION)
    assert answer.label is None
    assert problem in answer.problem


def test_results_of_the_public_report():
    problems = [read_answer(result, QUESTION).problem for result in results_of("malformed_results.json")]
    assert all(problems)
    assert len(set(problems)) == 5


def test_results_whose_meaning_is_plain():
    assert [label_of(result, QUESTION) for result in results_of("uncounted_answers.json")] == ["Yes", "1", "Yes"]


def test_only_the_question_counts():
    assert [label_of(result, QUESTION) for result in results_of("two_ctrl.json")] == ["No", "No", None]
