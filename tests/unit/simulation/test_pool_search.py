"""The simulation of rounds over a pool outside: what is compared and learnt from are candidates alone."""

from dataclasses import replace

import numpy as np
import pytest
from support.simulations import headlines, untimed

from ml_backend.config import ProjectSettings
from ml_backend.encoders.registry import ENCODERS
from ml_backend.models.sentences import Sentences
from ml_backend.semi_supervised.graph import NEIGHBOURS
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.simulation.oracle import Oracle
from ml_backend.simulation.pool_search import PoolSearch
from ml_backend.simulation.simulate import simulate

DESIGN = Design(held_out=20, initial=6, batch=4, budget=14, candidates=30)
TEXTS, LABELS = headlines(120)


@pytest.fixture(scope="module")
def data():
    targets = np.array([label == "sport" for label in LABELS]) + 0
    return LabelledData("topics", Sentences, ("flood", "sport"), TEXTS, targets, encoder="wordllama")


def test_a_run_asks_for_candidates_alone_and_goes_on_as_if_never_interrupted(data):
    rounds = list(simulate(data, DESIGN, "entropy", 0))
    assert [entry.labels for entry in rounds] == [6, 10, 14]
    again = list(simulate(data, DESIGN, "entropy", 0, done=rounds[:1]))
    assert untimed(again) == untimed(rounds[1:])


def test_with_as_many_candidates_as_items_nothing_is_lost(data):
    all_of_them = list(simulate(data, replace(DESIGN, candidates=0), "entropy", 0))
    candidates = list(simulate(data, replace(DESIGN, candidates=1000), "entropy", 0))
    assert [entry.picked for entry in candidates] == [entry.picked for entry in all_of_them]


def test_of_sets_as_many_candidates_as_items_lose_nothing_either():
    targets = np.array([(label == "sport", "flood" in text) for text, label in zip(TEXTS, LABELS, strict=True)]) + 0
    data = LabelledData("topics", Sentences, ("sport", "flood"), TEXTS, targets, encoder="wordllama")
    all_of_them, candidates = (
        list(simulate(data, replace(DESIGN, candidates=count), "entropy", 0)) for count in (0, 1000)
    )
    assert len(candidates) == 3
    assert [entry.picked for entry in candidates] == [entry.picked for entry in all_of_them]


def test_labelled_items_are_no_candidates_and_are_learnt_from_all_the_same(data):
    oracle = Oracle(data, DESIGN, 0)
    oracle.label(oracle.first)
    search = PoolSearch(data, oracle, ProjectSettings(queue_size=4), None, 30, "wordllama")
    search.search(None)
    assert 0 < len(search.open) < len(oracle.open)
    assert not np.isin(oracle.labelled, search.open).any()
    assert np.isin(oracle.labelled, search.pool).all()
    assert search.unlabelled() is None


def test_the_embedding_of_some_items_has_their_vectors_and_neighbours_among_them():
    whole = PoolEmbedding.learn(ENCODERS["wordllama"], TEXTS[:60], seed=0)
    some = [*TEXTS[:20], *TEXTS[60:80], TEXTS[0]]
    part = whole.only(some)
    assert len(part) == 40
    assert (part.rows[part.places(TEXTS[:20])] == whole.rows[whole.places(TEXTS[:20])]).all()
    assert part.near.shape == (40, NEIGHBOURS + 1)
    assert part.near.max() < 40
    assert part.weights.shape == (40, 40)
    assert Unlabelled(part, np.full(2, 0.5)).embedding.knows(some)
