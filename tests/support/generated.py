"""Configs, results and import files made by chance from what Label Studio knows, and what must hold for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ml_backend.errors import DataError, LabelConfigError
from ml_backend.importing.items import Remarks
from ml_backend.importing.reading import TaskFields, read_tasks
from ml_backend.label_studio.answers import label_of, read_answer, result_for
from ml_backend.label_studio.labeling_config import ChoiceQuestion, LabelingConfig, read_label_config
from ml_backend.records import Wanted

QUESTION = ChoiceQuestion("c", "t", "Text", "text", ("Yes", "No"))


def many(count: int) -> settings:
    """So many examples, the same each time."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


# --- labeling configs: Label Studio's tags and attributes, most of them as usual ------------------------------------


def usually(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Mostly the first."""
    return st.sampled_from([usual] * 25 * len(others) + list(others))


def written(tag: str) -> st.SearchStrategy[str]:
    """A tag in some case of letters."""
    return usually(tag, tag.lower(), tag.upper())


def attributes(found: dict[str, str | None]) -> str:
    """As XML; those that are None are left out."""
    return "".join(f" {name}={quoteattr(value)}" for name, value in found.items() if value is not None)


texts = st.fixed_dictionaries(
    {
        "name": st.just("t"),
        "value": usually("$text", "$meta.text", "$texts[0]", "$my-text", "$текст", "Is $text?", "$", "", "${text}"),
        "valueType": usually(None, "text", "url", "URL"),
        "encoding": usually(None, "none", "base64", "base64unicode", "utf8"),
        "granularity": usually(None, "word", "letter"),
        "resolver": usually(None, None, "csv"),
        "saveTextResult": usually(None, "no", "maybe"),
    }
)
questions = st.fixed_dictionaries(
    {
        "name": usually("c", "t", "true", "c1"),
        "toName": usually("t", "t,u", "nobody", ""),
        "choice": usually(None, "single", "single-radio", "multiple", "Single"),
        "allowNested": usually(None, "true", "false", "True"),
        "layout": usually(None, "inline", "select", "grid"),
        "required": usually(None, "true", "yes"),
        "requiredMessage": usually(None, "Choose!", "true"),
        "visibleWhen": usually(None, "choice-selected", "choice-unselected", "region-selected", "no-region-selected"),
        "perRegion": usually(None, "true", "false"),
        "value": usually(None, None, "$options"),
    }
)
choices = st.fixed_dictionaries(
    {
        "value": usually("A", "B", "C", " A ", "", "$a", "costs $5", "ä", "<&>", "true"),
        "alias": usually(None, None, "1", "", "true", "x"),
        "hint": usually(None, "about it", "false"),
        "selected": usually(None, "true", "1"),
        "visible": usually(None, "false"),
        "hotkey": usually(None, "a"),
    }
)
views = usually("<View>", '<View style="display: none">', '<View visibleWhen="choice-selected">', '<Repeater on="$x">')


@st.composite
def configs(draw: st.DrawFn) -> str:
    """A labeling config."""
    text = f"<{(tag := draw(written('Text')))}{attributes(draw(texts))}></{tag}>"
    given = draw(st.lists(choices, min_size=2, max_size=3))
    for place, choice in enumerate(given):  # mostly different from each other
        if choice["value"] == "A":
            choice["value"] = "ABC"[place]
    tag = draw(written("Choice"))
    inside = "".join(f"<{tag}{attributes(choice)}/>" for choice in given)
    inside = draw(usually(inside, f"<View>{inside}</View>", f"<{tag} value='N'>{inside}</{tag}>"))
    outer = draw(written("Choices"))
    more = draw(usually("", '<Rating name="r" toName="t"/>', f'<Choices name="d" toName="t">{inside}</Choices>'))
    view = draw(views)
    end = f"</{view[1:].split()[0].rstrip('>')}>"
    asked = f"<{outer}{attributes(draw(questions))}>{inside}</{outer}>"
    return f"<View>{text}{view}{asked}{end}{more}</View>"


def check_config(xml: str) -> LabelingConfig | None:
    """A config is read or refused (None); one that is read, Label Studio's own parser reads alike."""
    try:
        found = read_label_config(xml, project=1, wanted=Wanted("c"))
    except LabelConfigError as exc:
        refusal = str(exc)
    else:
        check_read(xml, found)
        return found
    assert "\n" not in refusal
    assert refusal.startswith("The labeling config of project 1")
    return None


def check_read(xml: str, found: LabelingConfig) -> None:
    """Label Studio's own parser reads a config alike, and its import takes our guess."""
    from label_studio_sdk.label_interface import LabelInterface  # here: all workers would wait for it as they collect

    question = found.question
    result = result_for(question.labels[0], 0.5, question)
    assert label_of(result, question) == question.labels[0]
    theirs = LabelInterface(xml)
    control = theirs.get_control(question.control)
    assert control.to_name == [question.object]
    if "<Choice " in xml and not question.paths:  # of other spellings its server keeps no list
        assert set(control.labels) == set(question.labels)
    if not question.nested:  # those it takes one by one, unseen
        assert (
            theirs.validate_prediction({"result": result, "score": 0.5, "model_version": "v"}, return_errors=True) == []
        )
    return found


# --- results ---------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["c", "Yes"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from_name", "value", "choices", "type", "id", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
regions = st.fixed_dictionaries(
    {
        "from_name": st.sampled_from(["c", "c", "c", "d"]),
        "value": json_values | st.fixed_dictionaries({"choices": json_values}),
    }
)
results = json_values | st.lists(regions, max_size=3)


def check_result(result: Any) -> None:
    """A result is a label, open, or told."""
    answer = read_answer(result, QUESTION)
    assert answer.label is None or answer.problem is None
    assert answer.problem is None or len(answer.problem) < 500


# --- files -----------------------------------------------------------------------------------------------------------

plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
cells = st.one_of(plain, st.sampled_from(["Yes", "No", " Yes ", "", '"', '""', 'x"y', '"x', "a,b", "a\nb", "5", "x;y"]))
annotations = json_values | st.lists(st.fixed_dictionaries({"result": results}), max_size=3)
json_rows = st.one_of(
    json_values,
    st.dictionaries(st.sampled_from(["text", "data", "label", "annotations", "predictions", "meta"]), json_values),
    st.fixed_dictionaries(
        {"data": st.fixed_dictionaries({"text": json_values})},
        optional={"annotations": annotations, "predictions": annotations, "meta": json_values},
    ),
    st.fixed_dictionaries(dict.fromkeys(("task_id", "annotation_id", "label", "annotator", "data"), json_values)),
    st.fixed_dictionaries(dict.fromkeys(("id", "annotation_id", "annotator", "text", "c"), json_values)),
)
tables = st.tuples(st.lists(st.tuples(cells, cells), max_size=8), st.sampled_from(",;\t"))
broken_lines = st.lists(st.one_of(cells, st.tuples(cells, cells).map(",".join)), max_size=8)


def read(path: Path, **options: Any) -> tuple[list[Any], list[str]]:
    """The tasks of a file and its problems."""
    problems: list[str] = []
    fields = TaskFields("Text", "text", question=QUESTION, **options)
    found = read_tasks(path, fields, problems=problems, remarks=Remarks())
    return list(found), problems


def check_json(folder: Path, rows: list[Any]) -> None:
    """Rows in are rows read and rows named; and what is read, Label Studio's import can be sent."""
    (path := folder / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    tasks, problems = read(path)
    assert len(tasks) + len(problems) == len(rows)
    for task in tasks:
        json.dumps([task.data, task.annotations, task.predictions, task.meta], allow_nan=False).encode()
        assert all(isinstance(given["result"], list) for given in (*task.annotations, *task.predictions))


def check_table(folder: Path, rows: list[tuple[str, str]], separator: str) -> None:
    """The same, of a table whose quotes are right: and each text is what was written."""
    lines = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (path := folder / "a.csv").write_text("\n".join([f"text{separator}label", *lines]), encoding="utf-8", newline="")
    tasks, problems = read(path, label_column="label")
    assert len(tasks) + len(problems) == len(rows)
    assert [task.data["text"] for task in tasks] == [text for text, _ in rows if text.strip()]


def check_broken_table(folder: Path, lines: list[str]) -> None:
    """Of a table with stray quotes each line is read, named, or within a cell that quotes close."""
    body = "\n".join(["text,label", "first,Yes", *lines, "last,No", ""])
    (path := folder / "a.csv").write_text(body, encoding="utf-8", newline="")
    try:
        tasks, problems = read(path, label_column="label")
    except DataError:
        raise AssertionError("the whole file was refused") from None
    assert tasks[0].data["text"] == "first"
    assert problems or any("last" in task.data["text"] for task in tasks)


def accepted_configs(count: int) -> list[tuple[str, LabelingConfig]]:
    """So many different configs of `configs` that are read and always show their question; the same ones each time."""
    found: dict[str, LabelingConfig] = {}

    @many(40 * count)
    @given(configs())
    def collect(xml: str) -> None:
        if len(found) < count and (config := check_config(xml)) is not None and not config.warnings:
            found[xml] = config

    collect()
    return list(found.items())
