"""What a version says of every row."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.older_vectors import make_older
from support.tables import CONFIG, headline_rows, pool_of, project_store, trained, write_table

from ml_backend.config import Settings
from ml_backend.errors import ConfigurationError, DataError, StoreError
from ml_backend.label_studio.labeling_config import parse_label_config
from ml_backend.models.sentences import Sentences
from ml_backend.models.several import thresholds_of
from ml_backend.pool.document import connect
from ml_backend.pool.embedding_step import embed_pool
from ml_backend.pool.heads import entropy, head_of, with_beside
from ml_backend.pool.prediction_step import predict_pool
from ml_backend.pool.vectors import About, Vectors, folder_of
from ml_backend.store.heads import Head as Beside
from ml_backend.store.heads import write_heads
from ml_backend.store.project_store import Current

LIGHT = {"encoder": "wordllama"}

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


@pytest.mark.parametrize("over", ["mean", "largest"])
def test_of_sets_a_row_gets_all_its_labels(tmp_path, settings, store, over):
    model = trained(store, multiple=True)
    about = store.manifest("sentences-0001-0123abcd")
    store.update_manifest(about.model_copy(update={"settings": {"set_uncertainty": over}}), None)
    embed_pool(settings, store)
    told = predict_pool(settings, store, str(tmp_path / "out"))
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    texts = {row: text for row, text in ROWS if text}
    wanted = dict(zip(texts, model.probabilities(list(texts.values()))[:, 0], strict=True))
    assert rows["r0"].keys() == {"id", "labels", "probability", "uncertainty"}
    for row, p in wanted.items():
        chosen = p >= 0.5
        assert rows[row]["labels"] == [label for label, is_in in zip(model.labels, chosen, strict=True) if is_in]
        assert rows[row]["probability"] == pytest.approx(np.where(chosen, p, 1 - p).prod(), abs=1e-3)
        binary = [entropy(np.array([[1 - each, each]]))[0] for each in p]
        expected = max(binary) if over == "largest" else np.mean(binary)
        assert rows[row]["uncertainty"] == pytest.approx(expected, abs=2e-3)
    counted = Counter(label for row in rows.values() for label in row["labels"])
    assert told.labels == {label: counted[label] for label in model.labels}


def test_each_question_has_columns_of_its_own(tmp_path, settings, store):
    model = trained(store)
    mood = Sentences(["calm", "dire"])
    mood.fit(["flood warning"] * 2 + ["cricket match"] * 2, np.array([1, 1, 0, 0]), seed=0, hyperparameters=LIGHT)
    asked = replace(parse_label_config(CONFIG), control="mood", labels=("calm", "dire"))
    tags = Sentences(mood.labels, multiple=True)
    tags.fit(["flood warning", "cricket match"], np.array([[1, 1], [0, 0]]), seed=0, hyperparameters=LIGHT)
    sets = replace(asked, control="tags", multiple=True)
    store.set_current(Current("sentences-0001-0123abcd", "q"))
    write_heads(store.folder, "q", [Beside(asked, mood, 1.0, shown=True), Beside(sets, tags, 1.0, shown=True)])
    embed_pool(settings, store)
    told = predict_pool(settings, store, str(tmp_path / "out"))
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    text = dict(ROWS)["r3"]
    p = mood.probabilities([text])[0, 0]
    assert rows["r3"]["label"] == "flood"
    assert (rows["r3"]["label_mood"], rows["r3"]["probability_mood"]) == ("dire", pytest.approx(p[1], abs=1e-3))
    assert rows["r3"]["uncertainty_mood"] == pytest.approx(entropy(p[None])[0], abs=1e-3)
    assert told.beside["mood"].labels == dict(Counter(row["label_mood"] for row in rows.values()))
    assert sum(told.labels.values()) == 50
    chosen = tags.probabilities([text])[0, 0] >= thresholds_of(tags)
    assert rows["r3"]["labels_tags"] == [tags.labels[place] for place in np.flatnonzero(chosen)] == ["calm", "dire"]
    assert told.beside["tags"].labels["dire"] == sum("dire" in row["labels_tags"] for row in rows.values())
    trained(store, "sentences-0002-0123abcd")  # the order is of another version: its heads go with it
    earlier = predict_pool(settings, store, str(tmp_path / "earlier"), version="1")
    assert earlier.beside == {}
    assert pq.read_table(tmp_path / "earlier").column_names == ["id", "label", "probability", "uncertainty"]
    assert model.labels == ("flood", "other")


def test_uncertainty_is_zero_where_sure_and_one_where_uniform():
    assert entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [0.0, 1.0]


def test_what_is_missing_is_said(tmp_path, settings, store):
    with pytest.raises(StoreError, match="has no version in use yet"):
        predict_pool(settings, store, str(tmp_path / "out"))
    trained(store)
    used = store.current()
    store.set_current(Current(None, None))  # trained once all was labelled: there was no order to publish
    with pytest.raises(StoreError, match="in use yet: name one with --version, such as sentences-0001-0123abcd"):
        predict_pool(settings, store, str(tmp_path / "out"))
    store.set_current(used)
    with pytest.raises(StoreError, match=r"no vectors of wordllama.*lsal pool embed"):
        predict_pool(settings, store, str(tmp_path / "out"))
    with pytest.raises(ConfigurationError, match="no address of a pool"):
        predict_pool(settings, store, "ftp://host/out")
    assert not (tmp_path / "out").exists()


def test_a_head_can_be_sent_to_a_worker_with_those_beside_it(store):
    model = trained(store, multiple=True)
    about = store.manifest("sentences-0001-0123abcd").model_copy(update={"settings": {"set_uncertainty": "largest"}})
    first = head_of(about, model)
    asked = replace(parse_label_config(CONFIG), control="mood")
    head = with_beside(first, [Beside(asked, trained(store, "sentences-0002-0123abcd"), 2.0, shown=True)], 3.0)
    found = pickle.loads(pickle.dumps(head.packed())).unpacked()
    vectors = np.random.default_rng(0).normal(size=(5, 256)).astype(np.float16)
    assert [weight for _, weight in found.questions] == [3.0, 2.0]
    for (one, _), (other, _) in zip(head.questions, found.questions, strict=True):
        assert np.array_equal(one.probabilities(vectors), other.probabilities(vectors))
        assert (one.several, one.control) == (other.several, other.control)
        assert (one.over_classes, other.over_classes) == ("largest", "largest")


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
