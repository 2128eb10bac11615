"""Texts as hashed n-grams: word by word, so that a word is taken apart once and not once an occurrence.

The features are those of two of scikit-learn's ``HashingVectorizer`` (a test compares them), several times faster: a
headline's character n-grams are the sum of its words', which is one product of two sparse matrices.

Axes: ``N`` texts, ``U`` different words, ``B`` buckets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils import murmurhash3_32

BUCKETS: Final = 2**18
CHARACTERS: Final = (4, 5, 6)
CHARACTER_WEIGHT, WORD_WEIGHT = 1.0, 0.5
"""Characters weigh more: they see "flood" in "flooding", which whole words cannot after ten examples."""
KNOWN_WORDS: Final = 100_000
"""Words whose parts are kept, some 30 MB."""

_WHOLE_SIGNS = "\u2e80-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0eff"
"""Scripts written without spaces (Chinese, Japanese, Thai, Lao) and Hangul: each sign counts as a word."""
_TOKEN: Final = re.compile(rf"[{_WHOLE_SIGNS}]|[^\W{_WHOLE_SIGNS}]+")

Indices = NDArray[np.int32]


def hashed_ngrams(texts: Sequence[str]) -> sparse.csr_matrix:
    """Features ``[N, 2 B]``: character 4-6-grams within words, then word 1-2-grams, hashed (Weinberger et al. 2009).

    Each half of a row is of unit length, times its weight.
    """
    if not len(texts):
        return sparse.csr_matrix((0, 2 * BUCKETS), dtype=np.float32)
    written = [text.lower().split() for text in texts]
    lengths = np.fromiter(map(len, written), dtype=np.int64, count=len(written))
    number = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(written)))}
    words = np.fromiter(map(number.__getitem__, chain.from_iterable(written)), dtype=np.int32, count=lengths.sum())
    parts = [_parts(word) for word in number]
    characters = _rows(words, lengths, len(parts)) @ _rows_of([ngrams for ngrams, _ in parts])
    tokens = _tokens(words, lengths, [own for _, own in parts])
    blocks = [CHARACTER_WEIGHT * normalize(characters, copy=False), WORD_WEIGHT * normalize(tokens, copy=False)]
    return sparse.hstack(blocks, format="csr", dtype=np.float32)


@lru_cache(maxsize=KNOWN_WORDS)
def _parts(word: str) -> tuple[Indices, tuple[str, ...]]:
    """Buckets of a word's character n-grams, the spaces around it included, and the tokens in it."""
    padded, grams = f" {word} ", list[str]()
    for size in CHARACTERS:
        grams += [padded[start : start + size] for start in range(max(1, len(padded) - size + 1))]
        if len(padded) <= size:  # a short word counts once
            break
    return _buckets(grams), tuple(_TOKEN.findall(word))


def _buckets(grams: Sequence[str]) -> Indices:
    """Bucket of each n-gram: MurmurHash3 of its UTF-8 bytes, without its sign, modulo the buckets."""
    try:
        hashes = np.fromiter(map(murmurhash3_32, grams), dtype=np.int64, count=len(grams))
    except UnicodeEncodeError:  # half a pair of surrogates, as broken JSON has them
        raw = (gram.encode("utf-8", errors="surrogatepass") for gram in grams)
        hashes = np.fromiter(map(murmurhash3_32, raw), dtype=np.int64, count=len(grams))
    return (np.abs(hashes) % BUCKETS).astype(np.int32)


def _tokens(words: Indices, lengths: NDArray[np.int64], own: Sequence[tuple[str, ...]]) -> sparse.csr_matrix:
    """Counts of tokens and of pairs of neighbouring ones ``[N, B]``."""
    number = {token: i for i, token in enumerate(dict.fromkeys(chain.from_iterable(own)))}
    names = list(number)
    counts = np.fromiter(map(len, own), dtype=np.int64, count=len(own))
    numbers = np.fromiter(map(number.__getitem__, chain.from_iterable(own)), dtype=np.int32, count=counts.sum())
    starts = np.cumsum(counts) - counts
    # The tokens of each word in turn: position in `numbers` = start of the word + place in it.
    sizes = counts[words]
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    tokens = numbers[np.repeat(starts[words], sizes) + place]
    rows = np.repeat(np.repeat(np.arange(len(lengths)), lengths), sizes)
    neighbours = np.flatnonzero(rows[1:] == rows[:-1])
    pairs, which = np.unique(
        tokens[neighbours].astype(np.int64) * len(names) + tokens[neighbours + 1], return_inverse=True
    )
    name = np.array(names, dtype=object)
    pair_names = (name + " ")[pairs // max(len(names), 1)] + name[pairs % max(len(names), 1)]
    columns = np.concatenate([_buckets(names)[tokens], _buckets(pair_names.tolist())[which]])
    entries = (np.ones(len(columns), dtype=np.float32), (np.concatenate([rows, rows[neighbours]]), columns))
    return sparse.coo_matrix(entries, shape=(len(lengths), BUCKETS)).tocsr()


def _rows_of(parts: Sequence[Indices]) -> sparse.csr_matrix:
    """Counts ``[U, B]`` of each word's buckets."""
    columns = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    return _rows(columns, np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)), BUCKETS)


def _rows(columns: Indices, lengths: NDArray[np.int64], width: int) -> sparse.csr_matrix:
    """Counts of columns, given row after row."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), shape=(len(lengths), width))
