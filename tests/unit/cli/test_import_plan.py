"""What an import would do, without a Label Studio."""

import pytest
from support.places import REPOSITORY

from ml_backend.cli.import_plan import make_plan, summary
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
    plan = make_plan(path, QUESTION, check=False)
    assert (plan.doubles, plan.conflicts) == (4, [])
    assert "4 doubles; left out" in summary([], plan, skipped=0)
