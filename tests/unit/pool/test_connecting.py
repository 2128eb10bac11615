"""Connecting a pool: what is looked at before, and what is kept."""

import pytest
from support.tables import (
    CONFIG,
    LIGHT,
    PAIR,
    PICTURES_CONFIG,
    headline_rows,
    pool_of,
    project_store,
    write_picture,
    write_table,
)

from ml_backend.config import ProjectSettings, Settings
from ml_backend.errors import ConfigurationError, DataError, StoreError
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.pool.connecting import WantedColumns, connect, forget_vectors, look
from ml_backend.pool.document import connected, disconnect, required
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.encoders import GREY, encoder_for
from ml_backend.pool.fields import check_question
from ml_backend.pool.source import Source
from ml_backend.pool.status import status
from ml_backend.records import Wanted
from ml_backend.store.documents import POOL, Shared, how_shared

TEXTS = parse_label_config(CONFIG)
SETTINGS = ProjectSettings(**LIGHT)


@pytest.fixture
def store(tmp_path):
    return project_store(tmp_path / "stores")


def looked(place, store, question=TEXTS, settings=SETTINGS, **columns):
    return look(str(place), question, settings, store, WantedColumns(**columns))


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_table_is_looked_at(tmp_path, store, name):
    rows = [*headline_rows(40), ("x", "")]
    found = looked(write_table(tmp_path / name, rows), store)
    assert (found.pool.rows, found.sampled, found.encoder.name) == (41, 41, "wordllama")
    assert found.bad == {"The text is empty; there is nothing to classify": 1}
    assert found.pool.fields == {"text": "text"}
    assert found.bytes_needed == 41 * 256 * 2
    assert found.seconds(2) > 0
    assert connected(store) is None


def test_pictures_are_looked_at(tmp_path):
    store = project_store(tmp_path / "stores", PICTURES_CONFIG, {})
    for number in range(4):
        write_picture(tmp_path / "p" / f"{number}.png", (9, 9, 9), side=28)
    (tmp_path / "p" / "5.png").write_bytes(b"no")
    found = looked(tmp_path / "p", store, parse_label_config(PICTURES_CONFIG), ProjectSettings())
    assert (found.pool.rows, found.pool.id_column, found.encoder.name) == (5, "path", GREY)
    assert list(found.bad.values()) == [1]


def test_the_column_is_named_or_the_only_one_with_texts(tmp_path, store):
    place = write_table(tmp_path / "a.parquet", [("a", "x", 1)], columns=("id", "title", "year"))
    assert looked(place, store).pool.fields == {"text": "title"}
    place = write_table(tmp_path / "a.parquet", [("a", "x", "y")], columns=("id", "title", "body"))
    with pytest.raises(DataError, match=r"columns with texts: 'title', 'body'\. Name one with --column"):
        looked(place, store)
    assert looked(place, store, named=["body"]).pool.fields == {"text": "body"}
    assert looked(place, store, named=["body"], id_column="title").pool.id_column == "title"


def test_what_does_not_fit_the_project_is_said(tmp_path, store):
    table = write_table(tmp_path / "a.parquet", headline_rows())
    picture = write_picture(tmp_path / "p" / "1.png")
    for place, question, told in (
        (table, parse_label_config(PICTURES_CONFIG), "shows images, and .* holds parquet"),
        (picture.parent, TEXTS, "shows texts, and .* holds pictures"),
        (write_table(tmp_path / "b.parquet", [("a", ""), ("b", None)]), TEXTS, "None of the first 2 rows"),
    ):
        with pytest.raises(DataError, match=told):
            looked(place, store, question, ProjectSettings() if "images" in told else SETTINGS)
    by_url = parse_label_config(CONFIG.replace('value="$text"', 'value="$text" valueType="url"'))
    with pytest.raises(ConfigurationError, match="are addresses or encoded"):
        looked(table, store, by_url)
    with pytest.raises(ConfigurationError, match="set text_model to sentences"):
        looked(table, store, settings=ProjectSettings(text_model="headlines"))


def test_ids_of_another_type_in_some_file_are_refused_with_file_and_types(tmp_path, store):
    place = tmp_path / "p"
    write_table(place / "a.parquet", [(1, "x"), (2, "y")])
    write_table(place / "b.parquet", [(None, "z")])  # of no type: rows without an id are told elsewhere
    pool = looked(place, store).pool
    write_table(place / "c.parquet", [(2.5, "z")])
    told = r"column 'id' of \S+/c\.parquet is Float64, and that of \S+/a\.parquet Int64: .* Save all files"
    with pytest.raises(DataError, match=told):
        looked(place, store)
    connect(store, pool)
    with pytest.raises(DataError, match=told):
        embed_pool(Settings(model_dir=tmp_path / "stores", text_model="auto"), store)


def test_several_fields_have_a_column_each(tmp_path, store):
    both = parse_label_config(PAIR, wanted=Wanted("", "text,title"))
    place = write_table(tmp_path / "a.parquet", [("a", "x", "y")], columns=("id", "title", "body"))
    with pytest.raises(DataError, match=r"no column 'text'.*'title', 'body'\. Name one with --column text="):
        looked(place, store, both)
    found = looked(place, store, both, named=["text=body"])
    assert (found.pool.fields, found.pool.learnt_from) == ({"text": "body", "title": "title"}, ("text", "title"))
    assert (found.encoder.name, found.dimensions) == ("wordllama, side by side", 512)
    assert connect(store, found.pool) is False
    assert required(store) == found.pool
    # What is shown beside is brought along, and is not learnt from.
    one = looked(place, store, shown=["title", "text"], named=["body"])
    assert (one.pool.fields, one.pool.learnt_from) == ({"text": "body", "title": "title"}, ("text",))
    assert one.dimensions == 256
    assert Source(one.pool).rows(["a"]) == {"a": {"text": "y", "title": "x"}}


def test_what_is_shown_only_may_be_missing(tmp_path, store):
    place = write_table(tmp_path / "a.parquet", [("a", None, "y"), ("b", "x", None)], columns=("id", "title", "text"))
    pool = looked(place, store, shown=["title"]).pool
    assert Source(pool).rows(["a", "b"]) == {"a": {"text": "y", "title": ""}, "b": {"text": None, "title": "x"}}


@pytest.mark.parametrize(
    ("config", "wanted", "error", "told"),
    [
        (PAIR, Wanted("", "", "numbers"), ConfigurationError, "setting embedding_field.*Remove that setting"),
        (
            PAIR.replace('<Text name="title"', '<Image name="title"'),
            Wanted("", "title,text"),
            ConfigurationError,
            r'learns from <Image> "\$title" and <Text> "\$text"; of a pool several <Text> .* a picture only by itself',
        ),
        (PAIR.replace('<Text name="text"', '<HyperText name="text"'), Wanted(), ConfigurationError, "are plain <Text>"),
        (PAIR.replace('<Text name="text"', '<Image name="text"'), Wanted(), DataError, r'shows "\$title" beside'),
    ],
    ids=["numbers", "a picture beside", "markup", "a folder has no columns"],
)
def test_what_cannot_be_learnt_of_a_pool_is_said(tmp_path, store, config, wanted, error, told):
    table = write_table(tmp_path / "a.parquet", headline_rows())
    place = write_picture(tmp_path / "p" / "1.png").parent if error is DataError else table
    with pytest.raises(error, match=told):
        looked(place, store, parse_label_config(config, wanted=wanted), ProjectSettings(), shown=["title", "text"])


def test_a_project_that_learns_from_something_else_now_is_told(tmp_path, store):
    pool = pool_of(write_table(tmp_path / "a.parquet", headline_rows()))
    check_question(pool, TEXTS)
    both = parse_label_config(PAIR, wanted=Wanted("", "text,title"))
    with pytest.raises(DataError, match=r'learns from "\$text", "\$title" now.* was "\$text" .*Connect the pool again'):
        check_question(pool, both)
    connect(store, pool)
    store.note_question(both, "Texts")
    with pytest.raises(DataError, match="Connect the pool again"):
        embed_pool(Settings(model_dir=tmp_path / "stores", text_model="auto"), store)


def test_a_pool_is_remembered_and_forgotten(tmp_path, store):
    pool = looked(write_table(tmp_path / "a.csv", headline_rows()), store).pool
    assert connect(store, pool) is False
    assert required(store) == pool
    assert how_shared(POOL) is Shared.AT_ONCE
    disconnect(store)
    with pytest.raises(DataError, match="No pool is connected to project 7"):
        required(store)
    store.write_document(POOL, {"url": 3})
    with pytest.raises(StoreError, match=r"pool\.json is damaged.*connect the pool again"):
        connected(store)


def test_a_document_of_an_earlier_release_is_read(store):
    store.write_document(
        POOL, {"format": 1, "url": "/a.csv", "kind": "csv", "id_column": "id", "fields": {"text": "t"}, "later": 5}
    )
    assert (required(store).schema, required(store).rows) == ({}, 0)


def test_vectors_of_another_pool_are_not_taken_for_its_own(tmp_path, store):
    settings = Settings(model_dir=tmp_path / "stores", text_model="auto")
    pool = pool_of(write_table(tmp_path / "a.parquet", headline_rows()))
    connect(store, pool)
    embed_pool(settings, store)
    assert connect(store, pool) is False  # the same one
    assert [each.rows for each in status(store).embeddings] == [40]
    moved = pool_of(write_table(tmp_path / "b.parquet", headline_rows()))
    assert connect(store, moved, keep_vectors=True) is False
    assert embed_pool(settings, store)[0].new == 0
    assert connect(store, pool) is True
    assert status(store).embeddings == ()
    assert forget_vectors(store) is False


def test_status_tells_damage_and_reasons(tmp_path, store):
    settings = Settings(model_dir=tmp_path / "stores", text_model="auto")
    assert status(store) is None
    connect(store, pool_of(write_table(tmp_path / "a.parquet", [*headline_rows(3), ("x", ""), ("y", "")])))
    embed_pool(settings, store)
    (found,) = status(store).embeddings
    assert (found.rows, found.bad, found.problem) == (3, 2, "")
    assert found.reasons == (("The text is empty; there is nothing to classify", 2),)
    (part,) = (store.folder / "pool" / "wordllama").glob("part-*")
    part.write_bytes(b"PAR1 half")
    (found,) = status(store).embeddings
    assert "is damaged" in found.problem


def test_models_that_read_rows_themselves_have_no_encoder():
    from ml_backend.models.registry import MODELS

    assert encoder_for(MODELS["sentences"], "").name == "minilm_multilingual"
    with pytest.raises(ConfigurationError, match="headlines reads each row itself"):
        encoder_for(MODELS["headlines"], "")
