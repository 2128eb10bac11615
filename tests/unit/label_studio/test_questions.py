"""Which of several questions is learnt, and answers that are no plain choices: stars, leaves, choices in choices."""

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.answers import OPEN, Answer, label_of, read_answer, result_for
from ml_backend.label_studio.labeling_config import parse_label_config, question_from, read_label_config
from ml_backend.records import Wanted

AB = '<Choice value="a"/><Choice value="b"/>'
TREE = '<Choice value="K"><Choice value="x"/><Choice value="y"/></Choice><Choice value="L"><Choice value="x"/></Choice>'
TREE += '<Choice value="M"/>'
BESIDE = """<Labels name="ner" toName="t"><Label value="X"/></Labels><TextArea name="why" toName="t"/>"""


def config(*controls, objects='<Text name="t" value="$text"/>'):
    return f"<View>{objects}{''.join(controls)}</View>"


def choices(name="c", inside=AB, more=""):
    return f'<Choices name="{name}" toName="t" {more}>{inside}</Choices>'


def taxonomy(inside=TREE, more='maxUsages="1" leafsOnly="true"'):
    return f'<Taxonomy name="x" toName="t" {more}>{inside}</Taxonomy>'


def result(question, value):
    return [{"from_name": question.control, "to_name": "t", "type": question.kind, "value": {question.kind: value}}]


# --- which one ------------------------------------------------------------------------------------------------------


def test_the_first_that_can_be_learnt_is_and_the_others_are_told():
    xml = config(BESIDE, choices("free", "", 'value="$o"'), choices("c"), choices("d"))
    (note,) = read_label_config(xml).notes
    assert note == (
        'Learnt: "c" and "d"; asked too, but not learnt: "ner" (<Labels>), "why" (<TextArea>), "free" (<Choices>)'
    )
    (note,) = read_label_config(xml, wanted=Wanted("c")).notes
    assert '"d" (<Choices>); the setting `question` names others: ' in note


def test_one_question_alone_needs_no_note():
    assert read_label_config(config(choices())).notes == ()


def test_the_setting_names_another():
    assert parse_label_config(config(choices("c"), choices("d")), wanted=Wanted("d")).control == "d"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("gone", 'no question named "gone"; it asks "c"'),
        ("why", '<TextArea name="why">, which cannot be learnt; what can be: "c"'),
    ],
)
def test_a_question_that_cannot_be_learnt_is_not_replaced_by_another(wanted, reason):
    with pytest.raises(LabelConfigError, match="Correct the setting `question`") as error:
        parse_label_config(config(BESIDE, choices("c")), project=7, wanted=Wanted(wanted))
    assert reason in str(error.value)


@pytest.mark.parametrize("params", [{}, {"question": 7}, {"question": None}])
def test_params_that_name_no_question(params):
    assert Wanted.of(params) == Wanted()


def test_a_question_finds_itself_again():
    xml = config(choices("c"), choices("d"))
    second = parse_label_config(xml, wanted=Wanted("d"))
    assert parse_label_config(xml, wanted=second.wanted) == second


# --- stars ----------------------------------------------------------------------------------------------------------


def test_stars_are_classes():
    question = parse_label_config(config('<Rating name="r" toName="t" maxRating="3"/>'))
    assert (question.kind, question.labels) == ("rating", ("1", "2", "3"))
    assert len(parse_label_config(config('<Rating name="r" toName="t"/>')).labels) == 5
    (region,) = result_for("2", 0.5, question)
    assert (region["type"], region["value"], region["from_name"]) == ("rating", {"rating": 2}, "r")
    assert label_of([region], question) == "2"
    assert label_of(result(question, 3.0), question) == "3"
    assert label_of(result(question, 9), question) == "9", "told as a label that is not listed"


@pytest.mark.parametrize("value", ["3", True, 2.5, None, [3], float("nan"), 10**400])
def test_a_rating_that_is_no_number_is_told(value):
    question = parse_label_config(config('<Rating name="r" toName="t"/>'))
    assert "not a whole number" in (read_answer(result(question, value), question).problem or "")


@pytest.mark.parametrize("written", ["1", "0", "-3", "many", "2000", ""])
def test_stars_that_are_no_classes(written):
    with pytest.raises(LabelConfigError, match="2 to 1,000 stars"):
        parse_label_config(config(f'<Rating name="r" toName="t" maxRating="{written}"/>'))


def test_stars_that_are_given_already_are_told():
    (said,) = read_label_config(config('<Rating name="r" toName="t" defaultValue="4"/>')).warnings
    assert "4 stars are set when a task opens" in said


# --- leaves ---------------------------------------------------------------------------------------------------------


def test_leaves_are_classes_and_answers_keep_their_ways():
    question = parse_label_config(config(taxonomy()))
    assert question.labels == ("K > x", "y", "L > x", "M"), "by the way where two leaves have one name"
    assert question.paths == (("K", "x"), ("K", "y"), ("L", "x"), ("M",))
    for label, path in zip(question.labels, question.paths, strict=True):
        (region,) = result_for(label, 1, question)
        assert (region["type"], region["value"]) == ("taxonomy", {"taxonomy": [list(path)]})
        assert label_of([region], question) == label
    assert question.descriptions[1] == "K > y"


def test_several_leaves_a_branch_and_nothing():
    question = parse_label_config(config(taxonomy()))
    assert "2 choices where one" in (read_answer(result(question, [["K", "x"], ["M"]]), question).problem or "")
    assert read_answer(result(question, [["K"]]), question) == Answer("K"), "a label that the config does not list"
    assert read_answer(result(question, [["K", "q"]]), question) == Answer("K > q")
    assert read_answer(result(question, []), question) == OPEN
    assert read_answer(result(question, [[["K"]]]), question).problem is not None


def test_what_people_can_answer_beside_one_leaf_is_told():
    said = read_label_config(config(taxonomy(more=""))).warnings
    assert [text.split("set ")[1].split(",")[0] for text in said] == ['maxUsages="1"', 'leafsOnly="true"']
    assert read_label_config(config(taxonomy())).warnings == ()


def test_where_more_than_one_leaf_may_be_used_answers_are_sets():
    question = parse_label_config(config(taxonomy(more='maxUsages="3" leafsOnly="true"')))
    assert question.multiple
    answer = read_answer(result(question, [["M"], ["K", "x"]]), question)
    assert answer.labels == ("K > x", "M")
    (region,) = result_for(answer.label, 1, question)
    assert region["value"] == {"taxonomy": [["K", "x"], ["M"]]}
    assert read_answer(result(question, []), question).labels == ()


def test_a_flat_taxonomy_is_described_by_its_own_words():
    question = parse_label_config(config(taxonomy('<Choice value="Sport" alias="1"/><Choice value="Money"/>')))
    assert (question.labels, question.descriptions) == (("1", "Money"), ("Sport", "Money"))


def test_too_many_leaves():
    leaves = ["".join(f'<Choice value="{b}-{n}"/>' for n in range(100)) for b in range(50)]
    branches = "".join(f'<Choice value="{b}">{inside}</Choice>' for b, inside in enumerate(leaves))
    with pytest.raises(LabelConfigError, match="5,000 leaves; 2 to 1,000"):
        parse_label_config(config(taxonomy(branches)))


@pytest.mark.parametrize("more", ['apiUrl="http://x"', 'value="$items"', 'labeling="true"', 'perRegion="true"'])
def test_taxonomies_that_cannot_be_learnt(more):
    with pytest.raises(LabelConfigError, match=r"from the task|per region"):
        parse_label_config(config(taxonomy(more=more)))


# --- choices in choices ---------------------------------------------------------------------------------------------


def test_inner_choices_are_classes():
    read = read_label_config(config(choices(inside=TREE, more='allowNested="true"')))
    question = read.question
    assert question.labels == ("K > x", "y", "L > x", "M")
    assert result_for("y", 1, question)[0]["value"] == {"choices": [["K", "y"]]}
    assert label_of(result(question, [["K", "y"]]), question) == "y"
    assert label_of(result(question, ["y"]), question) == "y", "as other programs write it"
    chosen = read_answer(result(question, [["K"], ["K", "x"], ["K", "y"]]), question)
    assert "3 choices where one" in (chosen.problem or "")
    assert "Choosing 'K' chooses everything inside it" in read.warnings[0]


def test_of_inner_choices_several_may_be_ticked_and_the_outer_one_beside_all_of_its():
    read = read_label_config(config(choices(inside=TREE, more='allowNested="true" choice="multiple"')))
    question = read.question
    assert (question.multiple, question.nested, read.warnings) == (True, True, ())
    (region,) = result_for("y\x1fM", 1, question)
    assert region["value"] == {"choices": [["K", "y"], ["M"]]}
    assert label_of([region], question) == "y\x1fM"
    chosen = result(question, [["K"], ["K", "x"], ["K", "y"], ["M"]])
    assert read_answer(chosen, question).labels == ("K > x", "y", "M")
    assert read_answer(result(question, [["K"], ["K", "x"]]), question).labels == ("K > x", "K"), "as no page stores it"
    assert read_answer(result(question, [["L"]]), question).labels == ("L",), "what is meant is not told: unlisted"


# --- stored ---------------------------------------------------------------------------------------------------------


def test_a_stored_question_is_the_same():
    import json
    from dataclasses import asdict

    question = parse_label_config(config(taxonomy()))
    assert question_from(json.loads(json.dumps(asdict(question)))) == question


def test_a_question_that_an_older_release_stored():
    old = {"control": "c", "object": "t", "object_tag": "Text", "field": "text", "labels": ["a", "b"], "nested": False}
    assert question_from(old) == parse_label_config(config(choices()))
