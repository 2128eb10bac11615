"""What the doctor says of a pool outside Label Studio; only the store and the pool are read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.tables import PAIR, headline_rows, pool_of, project_store, trained, write_table

from ml_backend.config import Settings
from ml_backend.doctor.pool import pool
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.pool.announce import ROW_FIELD, announce
from ml_backend.pool.document import connect
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.vectors import About, Vectors, folder_of
from ml_backend.records import Wanted


@pytest.fixture
def settings(tmp_path):
    return Settings(model_dir=tmp_path, text_model="auto")


@pytest.fixture
def place(tmp_path):
    return write_table(tmp_path / "rows.parquet", headline_rows())


@pytest.fixture
def store(tmp_path, place):
    found = project_store(tmp_path)
    connect(found, pool_of(place))
    return found


@pytest.fixture
def found(settings, store):
    def look():
        finding = pool(SimpleNamespace(store=store, settings=settings, project_id=7))
        return finding.status, finding.message, finding.remedy

    return look


def test_a_project_without_a_pool_is_well(settings, tmp_path):
    finding = pool(SimpleNamespace(store=project_store(tmp_path), settings=settings, project_id=7))
    assert (finding.status, finding.message) == ("ok", "No pool outside Label Studio is connected.")


def test_what_is_to_be_done_next(settings, store, found):
    status, message, remedy = found()
    assert (status, remedy) == ("warning", "lsal pool embed --project 7")
    assert "nothing of it is embedded" in message
    embed_pool(settings, store)
    assert found()[0] == "ok"
    assert "40 rows are embedded" in found()[1]
    announce(store, [{"text": "x", ROW_FIELD: "r1"}])
    status, message, remedy = found()
    assert (status, remedy) == ("warning", "lsal sync --project 7")
    assert "1 rows that it announced" in message


def test_vectors_that_the_version_does_not_read(settings, store, found):
    embed_pool(settings, store)
    trained(store)
    assert found()[0] == "ok"
    Vectors(folder_of(store, "wordllama")).start(About("wordllama", "wordllama@5", 256))
    status, message, remedy = found()
    assert (status, remedy) == ("error", "lsal pool embed --project 7")
    assert "were made by wordllama@5" in message


def test_a_pool_that_is_not_what_it_was(settings, store, place, found):
    embed_pool(settings, store)
    write_table(place, headline_rows(), columns=("id", "title"))
    status, message, remedy = found()
    assert (status, remedy) == ("error", "lsal pool connect --project 7 URL")
    assert "has no column 'text' any more" in message
    place.unlink()
    assert "does not exist" in found()[1]


def test_a_project_that_learns_from_something_else_now(store, found):
    store.note_question(parse_label_config(PAIR, wanted=Wanted("", "text,title")), "Texts")
    status, message, remedy = found()
    assert (status, remedy) == ("error", "lsal pool connect --project 7 URL")
    assert "Connect the pool again" in message
