"""Pages show of a task what annotators see of it, by whatever way the labeling config reaches it."""

import base64
import json
import sqlite3
from contextlib import closing

import pytest

from ml_backend.dashboard.reading.common import question_of, shown_items
from ml_backend.label_studio.labeling_config import ChoiceQuestion
from ml_backend.label_studio.task_cache import SCHEMA, UPSERT, TaskCache
from ml_backend.store.documents import QUESTION
from ml_backend.store.project_store import ProjectStore


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path, "7.1700000000")


def fill(store, data):
    store.task_cache_path.parent.mkdir(parents=True, exist_ok=True)
    row = {"id": 1, "data": data, "is_labeled": False, "annotations": []}
    with closing(sqlite3.connect(store.task_cache_path)) as db, db:
        db.executescript(SCHEMA)
        db.execute(UPSERT, (1, 0, json.dumps(row)))


def question(field="text", **more):
    return ChoiceQuestion("c", "t", "Text", field, ("a", "b"), **more)


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        (question(), {"text": "words"}),
        (question("meta.text"), {"meta": {"text": "words"}, "text": "no"}),
        (question("texts[1]"), {"texts": ["no", "words"]}),
        (question(encoding="base64"), {"text": base64.b64encode(b"words").decode()}),
    ],
)
def test_a_text(store, asked, data):
    fill(store, data)
    store.note_question(asked, "A project")
    assert question_of(store) == asked
    assert shown_items(store, [1]) == {1: {"text": "words"}}


def test_a_text_by_url_once_a_round_has_read_it(store):
    fill(store, {"text": "https://x.example/a.txt"})
    store.note_question(question(by_url=True))
    assert shown_items(store, [1]) == {1: {"text": ""}}
    TaskCache(store.task_cache_path).keep_text("https://x.example/a.txt", b"words")
    assert shown_items(store, [1]) == {1: {"text": "words"}}


def test_what_an_older_version_noted(store):
    fill(store, {"text": "words"})
    store.write_document(QUESTION, {"title": "x", "field": "text", "object_tag": "Text", "labels": ["a", "b"]})
    assert store.noted_question() is None
    assert shown_items(store, [1]) == {1: {"text": "words"}}
