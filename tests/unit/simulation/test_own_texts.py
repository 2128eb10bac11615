"""A user's own texts in a simulation: what they are read through."""

import csv

import pytest

from ml_backend.simulation.data import Source
from ml_backend.simulation.design import Design
from ml_backend.simulation.simulate import simulate

GERMAN = ("Der Zug nach {} hat wieder Verspätung", "Die Suppe in {} war kalt und viel zu salzig")
ENGLISH = ("The train to {} is late again", "The soup in {} was cold and far too salty")
PLACES = ("Köln", "Mainz", "Bonn", "Trier", "Fulda", "Kassel", "Gera", "Jena", "Ulm", "Worms", "Hof", "Celle")


def table(path, sentences):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("text", "label"), *((s.format(p), f"kind {k}") for p in PLACES for k, s in enumerate(sentences))]
        )
    return path


@pytest.mark.parametrize(("sentences", "encoder"), [(GERMAN, "multilingual"), (ENGLISH, "minilm_multilingual")])
def test_own_texts_are_read_by_their_language(tmp_path, sentences, encoder):
    assert Source("own", table(tmp_path / "own.csv", sentences), "label").load().encoder == encoder


def test_or_by_what_was_asked_for(tmp_path):
    assert (
        Source("own", table(tmp_path / "own.csv", GERMAN), "label", encoder="wordllama").load().encoder == "wordllama"
    )


def test_the_pools_graph_is_of_the_same_encoder(tmp_path):
    data = Source("own", table(tmp_path / "own.csv", GERMAN), "label").load()
    next(simulate(data, Design(4, 4, 2, 8), "random", 0, embeddings=tmp_path))
    assert [path.name for path in tmp_path.glob("embedding-*")] == ["embedding-multilingual-0.safetensors"]
