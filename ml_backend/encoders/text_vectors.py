"""Texts as vectors of pretrained encoders: loaded once a process, computed once a text, offline after installation.

The weights come from a package (MiniLM, WordLlama, a multilingual one), of two packages side by side
(`side_by_side`) or, for any other name that sentence-transformers knows, from a folder or its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ml_backend import extras
from ml_backend.encoders import text_networks
from ml_backend.encoders.feature_cache import FeatureCache
from ml_backend.encoders.feature_store import content_key, through_store
from ml_backend.encoders.folders import LIBRARY, check_folder
from ml_backend.encoders.side_by_side import SIDE_BY_SIDE, joined
from ml_backend.encoders.text_networks import NETWORKS, Compute, Vectors
from ml_backend.errors import ConfigurationError

AUTO: Final = "auto"
"""The first of ``PACKAGED`` whose package is there."""
NAMED: Final = LIBRARY
"""Begins the name of any other encoder: a folder, or a name in sentence-transformers' cache."""
KEPT: Final = 100_000
"""Texts whose vectors a process keeps: 180 MB of 896 numbers of 16 bits each."""


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


def encode_narrow(name: str, texts: Sequence[str]) -> NDArray[np.floating]:
    """As `encode`, in the 16 bits that the vectors are rounded to: half the memory.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    encoder = _loaded(resolve(name))
    return encoder.cache.get_as_kept(texts, str, encoder.vectors)


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
    """As `encode`, but not rounded, and kept nowhere: of texts that are asked for once.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    return _loaded(resolve(name)).compute(texts)


def compute_column(name: str, texts: Any) -> tuple[Iterator[Vectors], NDArray[np.bool_]]:
    """As `compute`, of an Arrow array, by an encoder of ``IN_THREADS``: its `WordLlama.of_column`.

    Raises:
        ConfigurationError: the encoder cannot be loaded.
    """
    encoder: Any = _loaded(resolve(name))
    blocks, odd = encoder.network.of_column(texts)
    return blocks, odd


def dimensions(name: str) -> int:
    """D of an encoder; one of a package is not loaded for that.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    return _loaded(resolve(name)).dims


def release() -> None:
    """Let go of all networks in this process, some hundred megabytes; what they computed stays.

    The next text that is neither in memory nor on disk loads its network again.
    """
    for encoder in list(_ENCODERS):
        encoder.release()


class _Encoder:
    """One encoder of this process: its vectors come from memory, else from disk, else from its network.

    The network is loaded, which takes a second, when the first text is neither here nor there.
    """

    def __init__(self, name: str) -> None:
        self._name, self._kept_as = name, kept_as(name)
        self.dims: int = NETWORKS[name].dims if name in NETWORKS else self.network(["text"]).shape[1]
        self.cache = FeatureCache(self.dims, KEPT, np.float16)
        _ENCODERS.add(self)

    @cached_property
    def network(self) -> Compute:
        """Loaded from its package or folder. Raises ConfigurationError."""
        try:
            name = self._name
            own = name in NETWORKS
            network = NETWORKS[name].load() if own else text_networks.sentence_transformer(name.removeprefix(NAMED))
            made = network(["text"]).shape[1]
            if own and made != NETWORKS[name].dims:
                raise ValueError(f"{made} numbers")
        # Damaged weights raise errors of many kinds: of zip files, of safetensors, of tokenizers.
        except Exception as exc:
            raise ConfigurationError(_cannot_load(self._name, exc)) from exc
        return network

    def release(self) -> None:
        """Without its network, until a text needs it."""
        self.__dict__.pop("network", None)

    def compute(self, texts: Sequence[str]) -> Vectors:
        """As its network makes them ``[N, D]``."""
        return self.network(texts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Of texts that the memory does not hold ``[N, D]``."""
        return through_store(self._kept_as, [content_key(text) for text in texts], texts, self.compute)


class _SideBySide:
    """Several as one; on disk each part's vectors are kept, which were made whenever one had been used alone."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._parts, self._shares = [_loaded(name) for name in shares], list(shares.values())
        self.dims: int = sum(part.dims for part in self._parts)
        self.cache = FeatureCache(self.dims, KEPT, np.float16)

    def compute(self, texts: Sequence[str]) -> Vectors:
        """As their networks make them ``[N, D]``."""
        return joined([part.compute(texts) for part in self._parts], self._shares)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Of texts that the memory does not hold ``[N, D]``."""
        return joined([part.vectors(texts) for part in self._parts], self._shares)


_ENCODERS: Final = WeakSet[_Encoder]()
"""Of this process, whether their networks are loaded or not."""


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


PACKAGED: Final[dict[str, tuple[str, ...]]] = {
    **{
        name: tuple(module for part in parts for module in NETWORKS[part].modules)
        for name, parts in SIDE_BY_SIDE.items()
    },
    **{name: network.modules for name, network in NETWORKS.items()},
}
"""The packages that each encoder needs; the best first."""
