"""Which labeling configs are understood, what the others are told, and how answers are read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REPOSITORY

from ml_backend.errors import LabelConfigError
from ml_backend.label_studio.labeling_config import (
    MAX_CLASSES,
    ChoiceQuestion,
    parse_label_config,
    read_label_config,
)

CONFIGS = REPOSITORY / "label_configs"
TEXT = '<Text name="t" value="$text"/>'
AB = '<Choice value="a"/><Choice value="b"/>'
QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("a", "b"))


def config(choices=AB, attributes='name="c" toName="t"', objects=TEXT, more=""):
    return f"<View>{objects}<Choices {attributes}>{choices}</Choices>{more}</View>"


def case(name):
    return (REPOSITORY / "tests" / "data" / "cases" / name).read_text(encoding="utf-8")


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
        config().replace("View", "view").replace("Choice", "choice").replace("Text", "TEXT"),
        config(attributes='name="c" toName="t" CHOICE="single-radio" PerRegion="false"'),
        config(attributes='name="c" toName="t" visibleWhen="no-region-selected"'),
        config(objects='<Text name="t" value="$text" valueType="text" encoding="none"/>'),
        config(more='<View visibleWhen="region-selected"><Text name="u" value="$u"/></View>'),
    ],
    ids=[
        "plain",
        "single",
        "single-radio",
        "other controls beside",
        "grouped",
        "comment",
        "tags in any case",
        "attributes in any case",
        "shown at first",
        "what is usual, said",
        "something else is hidden",
    ],
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
    assert len(parse_label_config(config(many)).labels) == MAX_CLASSES == 1_000


def test_letters_of_any_script():
    assert parse_label_config(config('<Choice value="洪水"/><Choice value="Überflutung"/>')).labels == (
        "洪水",
        "Überflutung",
    )


def test_tags_in_small_letters():
    assert parse_label_config(case("lowercase_tags.xml")) == ChoiceQuestion("c", "t", "Text", "text", ("A", "B"))


def test_answers_are_nested_where_the_config_says_so():
    assert parse_label_config(case("allownested_flat.xml")).nested
    assert parse_label_config(config(attributes='name="c" toName="t" allownested="true"')).nested
    assert not parse_label_config(config(attributes='name="c" toName="t" allowNested="false"')).nested


def test_a_text_by_url_and_an_encoded_one():
    by_url = parse_label_config(case("valuetype_url.xml"))
    assert (by_url.by_url, by_url.encoding, by_url.field) == (True, "none", "text")
    encoded = parse_label_config(case("encoding_base64.xml"))
    assert (encoded.by_url, encoded.encoding) == (False, "base64")
    both = parse_label_config(config(objects='<Text name="t" value="$u" VALUETYPE="url" Encoding="base64unicode"/>'))
    assert (both.by_url, both.encoding) == (True, "base64unicode")


@pytest.mark.parametrize(
    ("value", "field"), [("$meta.text", "meta.text"), ("$texts[0]", "texts[0]"), ("$a.b[12].c", "a.b[12].c")]
)
def test_a_field_inside_another(value, field):
    assert parse_label_config(config(objects=f'<Text name="t" value="{value}"/>')).field == field


def test_a_nested_field_of_a_task():
    question = parse_label_config(case("nested_field.xml"))
    assert question.value({"meta": {"text": "inside"}, "text": "outside"}) == "inside"
    assert question.value({"meta.text": "by its name", "meta": {"text": "inside"}}) == "by its name"
    assert [question.value(data) for data in ({}, {"meta": "x"}, {"meta": {}}, {"meta": ["x"]})] == [None] * 4


def test_an_alias_stands_for_what_each_task_calls_a_choice():
    read = read_label_config(config('<Choice value="$first" alias="first"/><Choice value="none"/>'))
    assert read.question.labels == ("first", "none")
    assert read.question.descriptions == ("first", "none")
    assert "what each task has for '$first'" in read.warnings[0]


def test_spaces_are_part_of_a_label():
    assert parse_label_config(config('<Choice value=" a "/><Choice value="b&#10;x"/>')).labels == (" a ", "b\nx")


WARNED = {
    "after another": (
        config(attributes='name="c" toName="t" visibleWhen="choice-selected" whenTagName="first"'),
        "only once 'first' is chosen",
    ),
    "in a view, until": (
        f'<View>{TEXT}<View VisibleWhen="choice-unselected"><Choices name="c" toName="t">{AB}</Choices></View></View>',
        "only until 'another question' is chosen",
    ),
    "the text after another": (
        config(objects=f'<View visibleWhen="choice-selected" whenChoiceValue="a">{TEXT}</View>'),
        "annotators see what <Text> shows only once 'a' is chosen",
    ),
    "differ in case": (
        config('<Choice value="Cat"/><Choice value="cat "/>'),
        "The choices 'Cat' and 'cat ' are easily confused",
    ),
    "look the same": (config('<Choice value="é"/><Choice value="e&#769;&#8203;"/>'), "easily confused"),
    "shown alike": (
        config('<Choice value="a" alias="x"/><Choice value="A" alias="y"/>'),
        "'a' and 'A' are easily confused",
    ),
    "chosen already": (config('<Choice value="a" selected="true"/><Choice value="b"/>'), "'a' is already chosen"),
    "hidden choice": (config('<Choice value="a" visible="false"/><Choice value="b"/>'), "do not see the choice 'a'"),
    "dead choice": (config('<Choice value="a" readonly="true"/><Choice value="b"/>'), "cannot choose 'a'"),
    "wordless": (
        config('<Choice value="" alias="a"/><Choice value="b"/>'),
        "a choice without text, which is stored as 'a'",
    ),
}


@pytest.mark.parametrize(("xml", "warning"), WARNED.values(), ids=WARNED)
def test_what_annotators_see_otherwise_is_said(xml, warning):
    (said,) = read_label_config(xml).warnings
    assert warning in said
    assert not said.endswith(".")


def test_nothing_is_said_about_the_shipped_configs():
    for path in CONFIGS.glob("*.xml"):
        assert read_label_config(path.read_text(encoding="utf-8")).warnings == ()


# --- unsupported -------------------------------------------------------------------------------------------------

UNSUPPORTED = {
    "empty": ("", "cannot be read"),
    "no XML": ("Hello", "cannot be read"),
    "not closed": ("<View>", "cannot be read"),
    "entities": ('<!DOCTYPE x [<!ENTITY e "z">]>' + config('<Choice value="&e;"/>' + AB), "cannot be read"),
    "no question": ("<View/>", "no question that can be learnt, which is one of <Choices>, <Rating>, <Taxonomy>"),
    "other control": (f'<View>{TEXT}<TextArea name="c" toName="t"/></View>', "no question that can be learnt"),
    "per region": (config(attributes='name="c" toName="t" perRegion="true"'), "ask once per task"),
    "per item": (config(attributes='name="c" toName="t" perItem="true"'), "ask once per task"),
    "dynamic": (config("", 'name="c" toName="t" value="$options"'), "list them as <Choice> tags"),
    "from a server": (config(attributes='name="c" toName="t" apiUrl="http://x"'), "list them as <Choice> tags"),
    "nested": (config('<Choice value="a"><Choice value="b"/></Choice><Choice value="d"/>'), "one flat list"),
    "one class": (config('<Choice value="a"/>'), "1 choices; 2 to 1,000"),
    "1,001 classes": (config("".join(f'<Choice value="{n}"/>' for n in range(1_001))), "1,001 choices; 2 to 1,000"),
    "doubled": (config(AB + '<Choice value="a"/>'), "doubled choice: 'a'"),
    "doubled by alias": (config(AB + '<Choice value="A" alias="a"/>'), "doubled choice: 'a'"),
    "choice without value": (config(AB + "<Choice/>"), "empty or doubled choice: ''"),
    "audio": (config(objects='<Audio name="t" value="$audio"/>'), "<Audio>; supported: <Image>, <Text>"),
    "text around the field": (config(objects='<Text name="t" value="Is $text?"/>'), "must be one task field"),
    "fixed text": (config(objects='<Text name="t" value="Hello"/>'), "must be one task field"),
    "points nowhere": (config(attributes='name="c" toName="nothing"'), "must point to one object"),
    "choices from fields": (case("choice_from_task.xml"), 'has <Choice value="$a">, which annotators see'),
    "a price in a choice": (config('<Choice value="costs $5"/><Choice value="b"/>'), "list the choices by their names"),
    "empty alias": (config('<Choice value="a" alias=""/><Choice value="b"/>'), "empty or doubled choice: ''"),
    "Cyrillic field": (case("nonascii_field.xml"), "annotators would see '$текст'"),
    "hyphen": (config(objects='<Text name="t" value="$my-text"/>'), "annotators would see '…-text'"),
    "braces": (config(objects='<Text name="t" value="${text}"/>'), "must be one task field"),
    "trailing dot": (config(objects='<Text name="t" value="$text."/>'), "must be one task field"),
    "resolver": (config(objects='<Text name="t" value="$f" resolver="csv"/>'), 'resolver="csv">, which is not read'),
    "in a region": (
        config(attributes='name="c" toName="t" visibleWhen="region-selected"'),
        "shows the question only while a region is selected",
    ),
    "in a view in a region": (f'<View visibleWhen="region-selected">{config()}</View>', "only while a region"),
    "not displayed": (f'<View style="color: red; display: none">{config()}</View>', "hides the question"),
    "a message that is no text": (
        config(attributes='name="c" toName="t" requiredMessage="true"'),
        "use another word",
    ),
    "repeated": (f'<Repeater on="$list">{config()}</Repeater>', "<Repeater> repeats the question"),
    "name in capitals": (config(attributes='NAME="c" toName="t"'), "Label Studio's server finds it only as name"),
    "toname": (config(attributes='name="c" toname="t"'), "finds it only as toName"),
    "twice": (config(attributes='name="c" toName="t" choice="single" Choice="multiple"'), "choice twice"),
    "choice in small letters": (config('<choice value="a"/><choice value="b"/>'), "has <choice> in <Choices>"),
    "one name twice": (config(attributes='name="t" toName="t"'), 'has two tags named "t"'),
    "True": (config(attributes='name="c" toName="t" allowNested="True"'), "it may be true, false"),
    "unknown encoding": (config(objects='<Text name="t" value="$x" encoding="utf8"/>'), "none, base64, base64unicode"),
    "alias that is no text": (config('<Choice value="a" alias="true"/><Choice value="b"/>'), "use another word"),
    "declaration": (f'<?xml version="1.0" encoding="utf-8"?>{config()}', "delete that line"),
    "DOCTYPE": (f"<!DOCTYPE View>{config()}", "cannot be read"),
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


@pytest.mark.parametrize(("required", "wanted"), [("", False), (' required="true"', True)])
def test_several_choices_per_answer(required, wanted):
    question = parse_label_config(config(attributes=f'name="c" toName="t" choice="multiple"{required}'))
    assert (question.multiple, question.required) == (True, wanted)
    assert question != parse_label_config(config(attributes='name="c" toName="t" choice="single"'))
