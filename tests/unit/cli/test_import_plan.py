"""What an import would do, without a Label Studio."""

import json

import pytest
from support.places import REPOSITORY

from ml_backend.cli.import_plan import ImportOptions, make_plan, summary
from ml_backend.errors import DataError
from ml_backend.label_studio.labeling_config import parse_label_config

QUESTION = parse_label_config((REPOSITORY / "label_configs" / "headlines.xml").read_text(encoding="utf-8"), project=1)
ROWS = (
    ("flood", "related"),
    ("match", ""),
    ("flood", "not related"),
    ("match", "not related"),
    ("flood", "related"),
    ("match", "related"),
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS), encoding="utf-8")
    return path


def test_of_a_text_with_two_labels_the_first_label_counts_and_both_are_said(path):
    plan = make_plan(path, QUESTION)
    assert [(task.data["text"], task.label) for task in plan.tasks] == [("flood", "related"), ("match", "not related")]
    assert plan.conflicts == [
        f'{path}, line 4: label "not related"; {path}, line 2 has "related", which counts',
        f'{path}, line 7: label "related"; {path}, line 5 has "not related", which counts',
    ]
    assert (plan.doubles, plan.problems) == (4, [])
    assert "4 doubles (2 with another label: the first one counts)" in summary([], plan, skipped=0)


def test_where_labels_are_hidden_nothing_is_said_of_them(path):
    plan = make_plan(path, QUESTION, ImportOptions(with_labels=False))
    assert (plan.doubles, plan.conflicts) == (4, [])
    assert "4 doubles; left out" in summary([], plan, skipped=0)


# --- which column, and copies ----------------------------------------------------------------------------------------


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header", ["text,label", "text,Label", "text,relevance", "text,class", "text,Category", "text,target"]
)
def test_a_label_column_is_found_by_its_name(tmp_path, header):
    plan = make_plan(written(tmp_path / "a.csv", f"{header}\nflood,related\nmatch,not related\n"), QUESTION)
    assert [task.label for task in plan.tasks] == ["related", "not related"]


def test_keys_of_plain_objects_are_columns(tmp_path):
    rows = '{"text": "flood", "label": "related"}\n{"data": {"text": "match", "label": "kept"}}\n'
    plan = make_plan(written(tmp_path / "a.jsonl", rows), QUESTION)
    assert [task.label for task in plan.tasks] == ["related"]
    assert 'line 2: label "kept" is not in the labeling config' in plan.problems[0]


def test_a_column_of_labels_under_another_name_is_asked_for(tmp_path):
    path = written(tmp_path / "a.csv", "text,kind\nflood,related\nmatch,\nfire, not related\n")
    with pytest.raises(DataError, match=r'which column holds the labels.*--label-column "kind"'):
        make_plan(path, QUESTION)
    assert make_plan(path, QUESTION, ImportOptions(label_column="kind")).tasks[0].label == "related"
    assert [t.label for t in make_plan(path, QUESTION, ImportOptions(label_column="")).tasks] == [None] * 3


def test_a_column_that_also_holds_other_words_is_none(tmp_path):
    plan = make_plan(written(tmp_path / "a.csv", "text,class\nflood,5\nmatch,b\n"), QUESTION)
    assert [(task.label, task.data["class"]) for task in plan.tasks] == [(None, "5"), (None, "b")]


def chosen(label):
    return [{"from_name": "relevance", "to_name": "headline", "type": "choices", "value": {"choices": [label]}}]


def test_answers_of_several_people_to_equal_texts_are_all_kept_and_conflicts_of_one_are_said(tmp_path):
    def task(*answers):
        given = [{"completed_by": person, "result": chosen(label)} for person, label in answers]
        return {"data": {"text": "flood"}, "annotations": given}

    rows = [task((1, "related")), task((2, "not related"), (1, "related")), task((1, "not related"))]
    path = written(tmp_path / "a.json", json.dumps(rows))
    plan = make_plan(path, QUESTION)
    (found,) = plan.tasks
    assert [given["completed_by"] for given in found.annotations] == [1, 2]
    assert plan.doubles == 2
    assert plan.conflicts == [f'{path}, item 3: label "not related"; {path}, item 1 has "related", which counts']


def test_what_cannot_be_kept_is_counted(tmp_path):
    row = {
        "data": {"text": "flood"},
        "drafts": [{}],
        "annotations": [{"id": 3, "result": chosen("related"), "created_at": "x", "prediction": {"score": 1}}],
    }
    plan = make_plan(written(tmp_path / "a.json", json.dumps([row])), QUESTION)
    assert set(plan.lost) == {"drafts (1)", "times of answers (1)", "which guess was on the screen (1)"}


def test_what_our_own_export_carries_is_not_lost(tmp_path):
    given = {"id": 3, "result": chosen("related"), "created_at": "x", "prediction": {"score": 1}}
    row = {"data": {"text": "flood"}, "meta": {"active_learning": {"3": {}}}, "annotations": [given]}
    plan = make_plan(written(tmp_path / "a.json", json.dumps([row])), QUESTION)
    assert plan.lost == []
    assert plan.tasks[0].annotations[0]["id"] == 3
