"""Tokens of texts, each word looked up once: for tokenizers whose tokens never reach from one word into the next.

Tokens of SentencePiece (Kudo and Richardson 2018) begin with ``▁`` where a word does. Where they hold it nowhere else,
byte-pair encoding (Sennrich et al. 2016) never joins what a space parts, and the tokens of a text are those of its
words, one after the other. To know the words of before takes a tenth of the time.

Axes: ``N`` texts, ``T`` tokens of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras

SPACE: Final = "▁"
MOST_WORDS: Final = 200_000
"""That are kept, in 40 MB: those that come first, among which the frequent ones are."""
LONGEST: Final = 30
"""Characters of a word that is kept: a text without spaces is one, and does not come again."""
WORDS: Final = re.compile(r"(?<=[^ ]) ")
"""Parts words: of several spaces the first, since the others stay with the word after them."""
Ids = NDArray[np.int32]


class WordTokens:
    """Finds tokens. Threads may share one: what two of them find of a word is the same.

    Args:
        tokenizer: of ``tokenizers``; it reads a space as ``▁``, and one before each text.

    Raises:
        ValueError: a token of it is of two words.
    """

    def __init__(self, tokenizer: Any) -> None:
        if across := next((token for token in tokenizer.get_vocab() if SPACE in token.lstrip(SPACE)), None):
            raise ValueError(f"the token {across!r} is of two words")
        self._tokenizer = tokenizer
        self._apart = (SPACE, *(token.content for token in tokenizer.get_added_tokens_decoder().values()))
        self._known: dict[str, bytes] = {}

    def of(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The tokens of all texts, one after the other ``[T]``, and where those of each begin and end ``[N + 1]``."""
        found = [b""] * len(texts)
        odd = self._look_up(range(len(texts)), (text.split(" ") for text in texts), found)
        if odd:
            parted = [WORDS.split(texts[place]) for place in odd]
            self._learn(parted)
            odd = self._look_up(odd, parted, found)
        for place, tokens in zip(odd, self._tokens([texts[place] for place in odd]), strict=True):
            found[place] = tokens
        ends = np.fromiter(accumulate(map(len, found), initial=0), np.int32, len(found) + 1)
        return np.frombuffer(b"".join(found), np.int32), ends // np.int32(np.dtype(np.int32).itemsize)

    def of_column(self, texts: Any) -> tuple[Ids, Ids, NDArray[np.bool_]]:
        """As `of`, of an Arrow array of texts, most of which become no objects of Python.

        Args:
            texts: ``N``; some may be missing.

        Returns:
            Tokens and ends as those of `of`, and the places where they are not to be used ``[N]``: where a text is
            missing, begins or ends with white space, or holds a word that is not kept.
        """
        pc: Any = extras.require("A column of texts", "pyarrow", "pyarrow.compute")
        parted = pc.split_pattern(texts, pattern=" ")
        bounds, coded = _numbers(parted.offsets), parted.values.dictionary_encode()
        words, codes = _texts(coded.dictionary), _numbers(coded.indices)
        self._learn([words])
        found = [self._known.get(word, b"") if word.strip() == word else b"" for word in words]
        lengths = np.fromiter(map(len, found), np.int32, len(found)) // np.dtype(np.int32).itemsize
        counts, begins = lengths[codes], (np.cumsum(lengths) - lengths)[codes]
        ends = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(begins - ends[:-1], counts) + np.arange(ends[-1])
        unknown = np.concatenate([[0], np.cumsum(counts == 0)])[bounds]
        tokens = np.frombuffer(b"".join(found), np.int32)[places]
        return tokens, ends[bounds].astype(np.int32), (np.diff(unknown) > 0) | (np.diff(bounds) == 0)

    def _look_up(self, places: Iterable[int], parted: Iterable[Sequence[str]], found: list[bytes]) -> list[int]:
        """Put the tokens of texts into ``found``, by their words; the places of those with a word that is not known."""
        known, odd = self._known.__getitem__, list[int]()
        for place, words in zip(places, parted, strict=True):
            try:
                found[place] = b"".join(map(known, words))
            except KeyError:
                odd.append(place)
        return odd

    def _learn(self, parted: Sequence[Sequence[str]]) -> None:
        if len(self._known) < MOST_WORDS:
            words = set(chain.from_iterable(parted)).difference(self._known)
            new = [word for word in words if 0 < len(word) <= LONGEST and not any(sign in word for sign in self._apart)]
            self._known.update(zip(new, self._tokens(new), strict=True))

    def _tokens(self, texts: Sequence[str]) -> list[bytes]:
        # Fast: without the tokens' places in the text.
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(tokens.ids, np.int32).tobytes() for tokens in found]


def _texts(column: Any) -> list[str]:
    """Texts of an Arrow array that begins where its buffers do: its own way takes five times as long."""
    if not len(column):
        return []
    _, offsets, content = column.buffers()
    whole = content.to_pybytes() if content else b""
    width = np.int64 if str(column.type) == "large_string" else np.int32
    ends = np.frombuffer(offsets, width, len(column) + 1).tolist()
    return [whole[start:end].decode() for start, end in pairwise(ends)]


def _numbers(column: Any) -> Ids:
    """Numbers of 32 bits of an Arrow array, where they lie: its own way loads pandas."""
    return np.frombuffer(column.buffers()[1] or b"", np.int32, len(column), 4 * column.offset)
