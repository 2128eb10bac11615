"""Which labeling configs are understood, what the others are told, and how answers are read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REPOSITORY

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.labeling_config import (
    MAX_CLASSES,
    ChoiceQuestion,
    label_of,
    parse_label_config,
    result_for,
)

CONFIGS = REPOSITORY / "label_configs"
TEXT = '<Text name="t" value="$text"/>'
AB = '<Choice value="a"/><Choice value="b"/>'
QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"))


def config(choices=AB, attributes='name="c" toName="t"', objects=TEXT, more=""):
    return f"<View>{objects}<Choices {attributes}>{choices}</Choices>{more}</View>"


# --- supported ---------------------------------------------------------------------------------------------------


def test_the_shipped_configs():
    def shipped(name):
        return parse_label_config((CONFIGS / f"{name}.xml").read_text(encoding="utf-8"))

    assert shipped("mnist") == ChoiceQuestion("digit", "image", "Image", "image", tuple("0123456789"))
    assert shipped("headlines") == ChoiceQuestion("relevance", "headline", "Text", "text", ("related", "not related"))
    photos = shipped("photos")
    assert (photos.object_tag, photos.field, len(photos.labels)) == ("Image", "image", 12)


@pytest.mark.parametrize(
    "xml",
    [
        config(),
        config(attributes='name="c" toName="t" choice="single"'),
        config(attributes='name="c" toName="t" choice="single-radio"'),
        config(more='<TextArea name="why" toName="t"/><Rating name="stars" toName="t"/>'),
        config(choices=f"<View>{AB}</View>"),
        f"<!-- a comment -->\n{config()}",
    ],
    ids=["plain", "single", "single-radio", "other controls beside", "grouped", "comment"],
)
def test_supported(xml):
    assert parse_label_config(xml) == QUESTION


def test_an_alias_is_what_annotations_hold():
    question = parse_label_config(config('<Choice value="Yes, it is" alias="yes"/><Choice value="No"/>'))
    assert question.labels == ("yes", "No")


def test_a_choice_is_described_by_its_hint_else_by_what_the_page_shows():
    choices = '<Choice value="Sport" alias="1" hint=" matches and players "/><Choice value="Money" alias="2"/>'
    question = parse_label_config(config(choices))
    assert question.descriptions == ("matches and players", "Money")


def test_another_hint_is_the_same_question():
    hinted = parse_label_config(config('<Choice value="a" hint="the first"/><Choice value="b"/>'))
    assert hinted == parse_label_config(config())
    assert hinted.descriptions != parse_label_config(config()).descriptions


def test_labels_keep_the_order_of_the_config():
    assert parse_label_config(config('<Choice value="z"/><Choice value="a"/><Choice value="m"/>')).labels == (
        "z",
        "a",
        "m",
    )


def test_as_many_classes_as_promised():
    many = "".join(f'<Choice value="{number}"/>' for number in range(MAX_CLASSES))
    assert len(parse_label_config(config(many)).labels) == MAX_CLASSES == 100


def test_letters_of_any_script():
    assert parse_label_config(config('<Choice value="洪水"/><Choice value="Überflutung"/>')).labels == (
        "洪水",
        "Überflutung",
    )


# --- unsupported -------------------------------------------------------------------------------------------------

UNSUPPORTED = {
    "empty": ("", "cannot be read"),
    "no XML": ("Hello", "cannot be read"),
    "not closed": ("<View>", "cannot be read"),
    "entities": ('<!DOCTYPE x [<!ENTITY e "z">]>' + config('<Choice value="&e;"/>' + AB), "cannot be read"),
    "no question": ("<View/>", "0 <Choices> controls, exactly one"),
    "other control": (f'<View>{TEXT}<Taxonomy name="c" toName="t">{AB}</Taxonomy></View>', "0 <Choices> controls"),
    "two questions": (
        config(more=f'<Choices name="d" toName="t">{AB}</Choices>'),
        "2 <Choices> controls, exactly one",
    ),
    "multiple": (config(attributes='name="c" toName="t" choice="multiple"'), 'set choice="single"'),
    "per region": (config(attributes='name="c" toName="t" perRegion="true"'), "ask once per task"),
    "per item": (config(attributes='name="c" toName="t" perItem="true"'), "ask once per task"),
    "dynamic": (config("", 'name="c" toName="t" value="$options"'), "list them as <Choice> tags"),
    "from a server": (config(attributes='name="c" toName="t" apiUrl="http://x"'), "list them as <Choice> tags"),
    "nested": (config('<Choice value="a"><Choice value="b"/></Choice><Choice value="d"/>'), "one flat list"),
    "one class": (config('<Choice value="a"/>'), "1 choices; 2 to 100"),
    "101 classes": (config("".join(f'<Choice value="{n}"/>' for n in range(101))), "101 choices; 2 to 100"),
    "doubled": (config(AB + '<Choice value="a"/>'), "doubled choice: 'a'"),
    "doubled by alias": (config(AB + '<Choice value="A" alias="a"/>'), "doubled choice: 'a'"),
    "choice without value": (config(AB + "<Choice/>"), "empty or doubled choice: ''"),
    "audio": (config(objects='<Audio name="t" value="$audio"/>'), "<Audio>; supported: <Image> or <Text>"),
    "html": (config(objects='<HyperText name="t" value="$html"/>'), "<HyperText>; supported: <Image> or <Text>"),
    "text around the field": (config(objects='<Text name="t" value="Is $text?"/>'), "must be one task field"),
    "fixed text": (config(objects='<Text name="t" value="Hello"/>'), "must be one task field"),
    "several images": (config(objects='<Image name="t" valueList="$images"/>'), "must be one task field"),
    "points nowhere": (config(attributes='name="c" toName="nothing"'), "must point to one object"),
    "points to two": (
        config(attributes='name="c" toName="t,u"', objects=TEXT + '<Text name="u" value="$u"/>'),
        "must point to one object",
    ),
}


@pytest.mark.parametrize(("xml", "reason"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_unsupported_says_what_is_wrong_and_where_to_change_it(xml, reason):
    with pytest.raises(LabelConfigError) as error:
        parse_label_config(xml, project=7)
    message = str(error.value)
    assert message.startswith("The labeling config of project 7")
    assert reason in message
    assert message.endswith("Settings > Labeling Interface.")
    assert "\n" not in message


@given(st.text(max_size=40))
def test_whatever_is_typed_the_error_is_ours(text):
    for xml in (text, f"<View>{text}</View>", config(text), config(objects=text)):
        try:
            question = parse_label_config(xml)
        except LabelConfigError:
            continue
        assert len(question.labels) >= 2


# --- answers -----------------------------------------------------------------------------------------------------


@given(st.text(min_size=1), st.floats(0, 1))
def test_what_is_written_can_be_read(label, score):
    question = ChoiceQuestion("c", "t", "Text", "text", (label, label + "!"))
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


def region(chosen, control="c", kind="choices"):
    return {"from_name": control, "to_name": "t", "type": kind, "value": {kind: chosen}}


@pytest.mark.parametrize(
    ("result", "label"),
    [
        ([], None),
        ([region(["b"])], "b"),
        ([region(["why"], control="d"), region(["b"])], "b"),
        ([region(["a"], control="d")], None),
        ([region(["a"], kind="textarea")], None),
        ([region([])], None),
        ([region(["a", "b"])], None),
        ([region([["a", "sub"]])], None),
        ([region(["no longer listed"])], "no longer listed"),
        ([{"from_name": "c", "type": "choices"}], None),
        ([{"id": "relation", "type": "relation"}], None),
    ],
)
def test_label_of(result, label):
    assert label_of(result, QUESTION) == label
