"""Choices that come with the tasks: what all tasks share is learnt, and what they do not share is told."""

from __future__ import annotations

from typing import Any

import pytest

from ml_backend.errors import ChoicesToCome, LabelConfigError
from ml_backend.label_studio.config_options import option_fields, shared_options
from ml_backend.label_studio.labeling_config import parse_label_config, read_label_config
from ml_backend.records import Task, Wanted

XML = """<View><Text name="t" value="$text"/><Choices name="c" toName="t" value="$its.options"/>
<Choices name="d" toName="t"><Choice value="x"/><Choice value="y"/></Choices></View>"""
YES_NO = [{"value": "yes", "hint": "it is so"}, {"value": "no", "alias": "n", "background": "red"}]


def tasks(*options: Any) -> list[Task]:
    return [Task(number, {"text": "x", "its": {"options": each}}) for number, each in enumerate(options, 1)]


def test_what_all_tasks_share_is_the_questions_choices() -> None:
    options = shared_options(XML, tasks(YES_NO, YES_NO[::-1], YES_NO))
    found = read_label_config(XML, wanted=Wanted(options=options))
    assert (found.question.control, found.question.labels) == ("c", ("yes", "n"))
    assert found.question.descriptions == ("it is so", "no")
    assert [each.control for each in found.others] == ["d"]
    assert parse_label_config(XML, wanted=found.question.wanted) == found.question, "found again by itself"


def test_without_tasks_the_others_are_learnt_and_it_is_said_why() -> None:
    assert shared_options(XML, []) == ""
    assert read_label_config(XML).question.control == "d"
    alone = XML.replace('<Choices name="d" toName="t"><Choice value="x"/><Choice value="y"/></Choices>', "")
    with pytest.raises(ChoicesToCome, match=r"choices from the tasks \(\$its.options\).*Import tasks that all have"):
        read_label_config(alone)


def test_what_can_never_be_learnt_is_told_before_what_waits_for_tasks_where_both_are_named() -> None:
    both = XML.replace('name="d"', 'name="d" perRegion="true"')
    with pytest.raises(ChoicesToCome):
        read_label_config(both)
    with pytest.raises(LabelConfigError, match="per region") as error:
        read_label_config(both, wanted=Wanted("c,d"))
    assert not isinstance(error.value, ChoicesToCome)


def test_a_config_without_such_choices_reads_no_tasks() -> None:
    assert option_fields(XML) == ("its.options",)
    for other in (XML.replace("$its.options", ""), "<View", XML.replace('value="$its.options"', 'apiUrl="$url"')):
        assert option_fields(other) == ()
        assert shared_options(other, iter(tasks(None))) == ""


def test_choices_in_choices() -> None:
    inner = [{"value": "a", "children": [{"value": "a1"}, {"value": "a2"}]}, {"value": "b"}]
    xml = XML.replace('name="c"', 'name="c" allowNested="true"')
    found = parse_label_config(xml, wanted=Wanted("c", options=shared_options(xml, tasks(inner))))
    assert found.paths == (("a", "a1"), ("a", "a2"), ("b",))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            (YES_NO, YES_NO[:1]),
            "task 1 has yes, no, task 2 has yes. A question can be learnt only if all have the same",
        ),
        ((YES_NO, [{"value": str(n)} for n in range(9)]), "task 2 has 0, 1, 2, 3, 4 and 4 more"),
        ((YES_NO, None), "task 2 has no list of choices there"),
        ((["yes", "no"],), "task 1 has no list of choices there, such as"),
        (([],), "task 1 has no list"),
        (({"value": "yes"},), "task 1 has no list"),
        (([{"value": 7}],), "task 1 has no list"),
        (([{"value": "a", "children": ["b"]}],), "task 1 has no list"),
    ],
)
def test_what_tasks_do_not_share_is_told_by_the_task(options: tuple[Any, ...], told: str) -> None:
    with pytest.raises(LabelConfigError, match=r"The choices of project 7 .*The old order stands") as caught:
        shared_options(XML, tasks(*options), project=7)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ((XML.replace('options"/>', 'options"><Choice value="z"/></Choices>'), YES_NO), "keep one or the other"),
        ((XML, YES_NO[:1]), "1 choices; 2 to 1,000 are supported"),
        ((XML, [*YES_NO, {"value": "yes"}]), "doubled choice: 'yes'"),
    ],
)
def test_what_cannot_be_learnt_of_them(changed: tuple[str, Any], told: str) -> None:
    xml, options = changed
    with pytest.raises(LabelConfigError, match=told):
        parse_label_config(xml, wanted=Wanted("c", options=shared_options(xml, tasks(options))))
