"""What a version says of every row."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.older_vectors import make_older
from support.tables import headline_rows, pool_of, project_store, trained, write_table

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, DataError, StoreError
from ml_backend.models.sentences import Sentences
from ml_backend.pool.document import connect
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.heads import entropy, head_of
from ml_backend.pool.prediction_step import predict_pool
from ml_backend.pool.vectors import About, Vectors, folder_of

ROWS = [*headline_rows(30), *((f"c{number}", f"cricket match {number}") for number in range(20)), ("bad", "")]


@pytest.fixture
def settings(tmp_path):
    return Settings(model_dir=tmp_path, text_model="auto")


@pytest.fixture
def store(tmp_path, settings):
    found = project_store(tmp_path)
    connect(found, pool_of(write_table(tmp_path / "rows.parquet", ROWS)))
    return found


def test_every_row_gets_what_the_version_says_of_it(tmp_path, settings, store):
    model = trained(store)
    embed_pool(settings, store)
    told = predict_pool(settings, store, str(tmp_path / "out"), version="1")
    assert (told.rows, told.left_out, told.version) == (50, 1, "sentences-0001-0123abcd")
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    texts = {row: text for row, text in ROWS if text}
    wanted = dict(zip(texts, model.probabilities(list(texts.values()))[:, 0], strict=True))
    assert rows.keys() == wanted.keys()
    for row, probabilities in wanted.items():
        assert rows[row]["label"] == model.labels[probabilities.argmax()]
        assert rows[row]["probability"] == pytest.approx(probabilities.max(), abs=1e-3)
        assert rows[row]["uncertainty"] == pytest.approx(entropy(probabilities[None])[0], abs=1e-3)
    assert told.labels == {name: sum(row["label"] == name for row in rows.values()) for name in model.labels}
    assert told.below == {limit: sum(row["probability"] < limit for row in rows.values()) for limit in told.below}

    vectors = Vectors(folder_of(store, "wordllama"))
    (part,) = vectors.parts()
    table = pq.read_table(part)
    pq.write_table(table.slice(20), vectors.folder / "part-second.parquet")
    pq.write_table(table.slice(0, 20), part)
    make_older(part)
    predict_pool(settings, store, str(tmp_path / "again"), version="1")
    again = {row["id"]: row for row in pq.read_table(tmp_path / "again").to_pylist()}
    assert again == {row: pytest.approx(said, abs=1e-6) for row, said in rows.items()}


def test_uncertainty_is_zero_where_sure_and_one_where_uniform():
    assert entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [0.0, 1.0]


def test_what_is_missing_is_said(tmp_path, settings, store):
    with pytest.raises(StoreError, match="has no version in use yet"):
        predict_pool(settings, store, str(tmp_path / "out"))
    trained(store)
    with pytest.raises(StoreError, match=r"no vectors of wordllama.*lsal pool embed"):
        predict_pool(settings, store, str(tmp_path / "out"))
    with pytest.raises(ConfigurationError, match="no address of a pool"):
        predict_pool(settings, store, "ftp://host/out")
    assert not (tmp_path / "out").exists()


def test_a_version_of_several_choices_is_refused(store):
    trained(store)
    manifest = store.manifest("sentences-0001-0123abcd")
    with pytest.raises(ConfigurationError, match="answers with several choices"):
        head_of(manifest, Sentences(["flood", "other"], multiple=True))


def test_vectors_of_another_encoder_are_refused(tmp_path, settings, store):
    trained(store)
    Vectors(folder_of(store, "wordllama")).start(About("wordllama", "wordllama@5", 256))
    with pytest.raises(StoreError, match=r"were made by wordllama@5, and version .* reads through wordllama"):
        predict_pool(settings, store, str(tmp_path / "out"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, settings, store):
    trained(store)
    embed_pool(settings, store)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is there already, with something in it"):
        predict_pool(settings, store, str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_is_broken_off_leaves_nothing(tmp_path, settings, store):
    trained(store)
    embed_pool(settings, store)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_pool(settings, store, str(tmp_path / "out"), progress=stop)
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
