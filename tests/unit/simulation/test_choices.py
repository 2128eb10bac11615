"""Which model and which encoder a simulation uses: those that were named, or an error; never others in silence."""

from dataclasses import replace

import pytest
from support.simulations import DESIGN

from ml_backend.cli.simulation_runs import check_choices, settings_of
from ml_backend.errors import ConfigurationError
from ml_backend.models.headlines import Headlines
from ml_backend.simulation.data import Source


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\nflood in the river,wet\nfootball tonight,dry\n", encoding="utf-8")
    return Source("own", path, label_column="label", text_model="headlines")


def test_the_model_of_texts_can_be_named(texts):
    assert texts.load().model is Headlines
    with pytest.raises(ConfigurationError, match=r"--text-model.*headlines"):
        replace(texts, text_model="nonsense").load()
    with pytest.raises(ConfigurationError, match="--text-model"):
        replace(texts, text_model="photos").load()


def test_what_would_not_be_used_is_refused(texts):
    data = texts.load()
    check_choices(texts, data, replace(DESIGN, embedding="wordllama"))
    with pytest.raises(ConfigurationError, match=r"--image-model photos: texts is read by headlines; leave .* out"):
        check_choices(replace(texts, image_model="photos"), data, DESIGN)
    with pytest.raises(ConfigurationError, match="Unknown embedding 'nonsense'"):
        check_choices(texts, data, replace(DESIGN, embedding="nonsense"))
    with pytest.raises(ConfigurationError, match="not <Text> objects"):
        check_choices(texts, data, replace(DESIGN, embedding="gradients"))
    with pytest.raises(ConfigurationError, match="--labels-only"):
        check_choices(texts, data, replace(DESIGN, embedding="wordllama", learn_from_pool=False))


def test_candidates_are_found_by_vectors(texts):
    with pytest.raises(ConfigurationError, match="headlines reads each row itself"):
        check_choices(texts, texts.load(), replace(DESIGN, candidates=20))
    sentences = replace(texts, text_model="sentences")
    check_choices(sentences, sentences.load(), replace(DESIGN, candidates=20))


def test_a_folder_from_before_these_options_is_gone_on_with(texts):
    data = texts.load()
    assert {"instant", "embedding", "candidates"}.isdisjoint(settings_of(data, DESIGN))
    chosen = settings_of(data, replace(DESIGN, embedding="wordllama", instant=True))
    assert (chosen["embedding"], chosen["instant"]) == ("wordllama", True)
