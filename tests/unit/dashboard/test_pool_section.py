"""What the overview says of a pool outside Label Studio."""

import json

import pytest

from ml_backend.dashboard.pages.overview_pool import section
from ml_backend.dashboard.reading.outside import read_outside
from ml_backend.pool.document import Pool, connect
from ml_backend.pool.last_pass import LastPass, note
from ml_backend.store.documents import POOL_PASS
from ml_backend.store.project_store import ProjectStore

NOW = "2026-01-01T00:10:00+00:00"
FACTS = LastPass(
    "2026-01-01T00:00:00+00:00", "sentences-0001-aaaaaaaa", "minilm", 2000, 537, 200, 150, 100, 0.5, 20, 40
)


@pytest.fixture
def store(tmp_path):
    made = ProjectStore(tmp_path, "1.1")
    connect(made, Pool("s3://bucket/rows", "parquet", "key", {"text": "headline"}, rows=2000))
    return made


def told(store):
    problems = []
    found = read_outside(store, problems)
    return json.dumps(
        [part.to_plotly_json() for part in section({"outside": found, "now": NOW})], default=str
    ), problems


def test_a_project_without_a_pool_has_no_such_section(tmp_path):
    assert read_outside(ProjectStore(tmp_path, "1.1"), []) is None
    assert section({"outside": None, "now": NOW}) == []


def test_before_a_first_round_only_its_size_is_known(store):
    text, problems = told(store)
    assert problems == []
    assert "2,000" in text
    assert "0 are embedded" in text


def test_where_the_queue_came_from(store):
    note(store, FACTS)
    text, _ = told(store)
    assert "from 537 rows and the tasks that were open: 200 that the model is least sure of, 150 that chance" in text
    assert "10 minutes ago" in text
    assert "sentences-0001-aaaaaaaa" in text


def test_why_nothing_new_came(store):
    note(store, LastPass(NOW, problem="nobody answers there."))
    text, _ = told(store)
    assert "Nothing new came from the pool in the last round: nobody answers there." in text


def test_a_damaged_note_is_a_problem_of_the_page(store):
    (store.folder / POOL_PASS).write_text("{")
    text, problems = told(store)
    assert text == "[]"
    assert "damaged" in problems[0]
