"""The n-grams are those of scikit-learn's vectorizers, whatever the text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from ml_backend.models import ngrams
from ml_backend.models.ngrams import BUCKETS, hashed_ngrams

KINDS = {"n_features": BUCKETS, "alternate_sign": False, "norm": "l2", "dtype": np.float32}
PEERS = (
    (ngrams.CHARACTER_WEIGHT, HashingVectorizer(analyzer="char_wb", ngram_range=(4, 6), **KINDS)),
    (ngrams.WORD_WEIGHT, HashingVectorizer(ngram_range=(1, 2), token_pattern=ngrams._TOKEN.pattern, **KINDS)),
)


def peer(texts):
    return sparse.hstack([weight * vectorizer.transform(texts) for weight, vectorizer in PEERS], format="csr")


def same(texts):
    ours, theirs = hashed_ngrams(texts), peer(texts)
    assert ours.shape == theirs.shape
    return abs(ours - theirs).max() < 1e-6 if len(texts) else True


@pytest.mark.parametrize(
    "texts",
    [
        ["Flood in the river: flood, FLOOD!", "a", "of an old dam", "x y z"],
        ["", "   ", "!?", "one two  two\ttwo\nthree"],
        ["洪水 in 北京", "น้ำท่วม", "Überschwemmung straße", "наводнение", "emoji 🌊🌊", "don't e-mail 3.5%"],
        ["the same", "the same"],
    ],
)
def test_as_scikit_learn_does_it(texts):
    assert same(texts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=6))
def test_any_text(texts):
    assert same(texts)


@given(st.lists(st.sampled_from(["flood", "rain", "a", "to"]), min_size=1, max_size=12))
def test_repeated_words(words):
    assert same([" ".join(words), " ".join(reversed(words))])


def test_no_texts():
    assert hashed_ngrams([]).shape == (0, 2 * BUCKETS)


def test_half_a_pair_of_surrogates_is_no_error():
    assert hashed_ngrams(["broken \ud83d text"]).nnz > 0
