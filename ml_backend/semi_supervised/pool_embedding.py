"""A project's items in an embedding that needed no labels: their vectors, their neighbours, and one file of it all.

Axes: ``N`` different items, ``D`` embedding dimensions, ``k`` neighbours, ``G`` coordinates of the graph.

Items are known by their content: copies share a row, and a task whose data changes is embedded anew. The encoder is
learnt once, on the items that are there then; items that come later get their vectors from it and their place in the
graph beside the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ml_backend.encoders.base import Encoder, Rows
from ml_backend.encoders.registry import ENCODERS
from ml_backend.errors import StoreError
from ml_backend.files import atomic, private_folder
from ml_backend.records import Progress, no_progress
from ml_backend.semi_supervised.graph import BLOCK, NEIGHBOURS, Positions, Vectors, affinity, coordinates, nearest

if TYPE_CHECKING:
    from scipy import sparse


FORMAT: Final = 2
READ: Final = (1, 2)
"""Formats that are read: the first has vectors of 32 bits only."""
DIGEST: Final = 16


@dataclass(frozen=True, eq=False)
class PoolEmbedding:
    """Items in the embedding of one encoder."""

    encoder: Encoder
    made_of: Mapping[str, Any]
    """What it was learnt with: encoder, options, seed. JSON-able."""
    keys: tuple[bytes, ...]
    """Digest of each item's content, none twice ``[N]``."""
    rows: Vectors
    """``[N, D]``, in 16 bits where these hold all that the encoder says, else in 32; see `narrowed`."""
    near: Positions
    """Neighbours ``[N, k]``; the item itself where there are fewer."""
    gaps: NDArray[np.float32]
    """Squared distances to them ``[N, k]``."""
    _places: dict[bytes, int] = field(init=False)
    _digests: dict[int, tuple[Any, bytes]] = field(init=False, default_factory=dict)
    """Of the arrays that it was asked about, by `id`: a round asks about all of them eight times. What is here cannot
    be another array meanwhile."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {key: place for place, key in enumerate(self.keys)})

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def learn(
        cls,
        encoder: type[Encoder],
        items: Sequence[Any],
        *,
        seed: int,
        options: Mapping[str, float] | None = None,
        read_by: str = "",
        progress: Progress = no_progress,
    ) -> Self:
        """Learn the encoder on the items, and find their neighbours.

        Args:
            encoder: is learnt.
            items: copies count once.
            seed: of what it draws.
            options: of the encoder.
            read_by: what made the items, where that is not always the same; see `made_of`.
            progress: of the learning.

        Raises:
            ModelError: no items, or wrong options.
        """
        different = list({digest(item): item for item in items}.values())
        learnt = encoder.learn(different, seed=seed, options=options, progress=progress)
        empty = cls(learnt, made_of(encoder, seed, options, read_by), (), *_nothing(learnt, different[0]))
        return empty.extended(different)

    def extended(self, items: Sequence[Any]) -> Self:
        """With the items that it does not know yet; itself where it knows all."""
        new = {key: item for item in items if (key := self._digest(item)) not in self._places}
        if not new:
            return self
        views = list(self.encoder.views(list(new.values())))
        rows = np.concatenate([self.rows, views[0]]) if len(self) else views[0]
        near, gaps = nearest(views, rows, NEIGHBOURS + 1)  # each finds itself, too
        known_near, known_gaps = _padded(self.near, self.gaps, near.shape[1])
        return type(self)(
            self.encoder,
            self.made_of,
            (*self.keys, *new),
            narrowed(rows),
            np.concatenate([known_near, near]),
            np.concatenate([known_gaps, gaps]),
        )

    def only(self, items: Sequence[Any]) -> Self:
        """These items alone, known or not, by the same encoder: neighbours among them, and no others."""
        wanted = {digest(item): item for item in items}
        new = self.extended(items)
        keys = [key for key in new.keys if key in wanted]
        rows = new.rows[[new._places[key] for key in keys]]
        views = self.encoder.views([wanted[key] for key in keys])
        near, gaps = nearest(views, rows, NEIGHBOURS + 1)
        return type(self)(self.encoder, self.made_of, tuple(keys), rows, near, gaps)

    def knows(self, items: Sequence[Any]) -> bool:
        """Whether it has all of them."""
        return all(self._digest(item) in self._places for item in items)

    def places(self, items: Sequence[Any]) -> Positions:
        """Row of each item; copies share one.

        Raises:
            KeyError: an item that it does not know; see `extended`.
        """
        return np.array([self._places[self._digest(item)] for item in items], dtype=np.int64)

    def _digest(self, item: Any) -> bytes:
        if isinstance(item, str):
            return digest(item)
        known = self._digests.get(id(item))
        if known is None:
            known = self._digests[id(item)] = item, digest(item)
        return known[1]

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """The neighbour graph, `graph.affinity` ``[N, N]``."""
        return affinity((self.near, self.gaps))

    @cached_property
    def coordinates(self) -> Rows:
        """The items by the clusters of the graph, `graph.coordinates` ``[N, G]``: what a cold start goes by."""
        return coordinates(self.weights)

    def save(self, path: Path) -> None:
        """Write it to one file, whole or not at all.

        Raises:
            StoreError: the file cannot be written.
        """
        import torch
        from safetensors.torch import save_file

        learnt, config = self.encoder.state()
        tensors = {f"encoder.{name}": value.contiguous() for name, value in learnt.items()}
        keys = np.frombuffer(b"".join(self.keys), np.uint8).reshape(-1, DIGEST).copy()
        for name, values in {"keys": keys, "rows": self.rows, "near": self.near, "gaps": self.gaps}.items():
            tensors[name] = torch.from_numpy(np.ascontiguousarray(values))
        about = json.dumps({"format": FORMAT, "made_of": dict(self.made_of), "config": config})
        try:
            private_folder(path.parent)
            atomic.write_with(path, lambda staged: save_file(tensors, staged, metadata={"embedding": about}))
        except (OSError, SafetensorError) as exc:
            raise StoreError(f"Cannot write {path} ({exc}); nothing was changed.") from exc

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            StoreError: it is missing, damaged, or of an encoder that this installation does not know.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads(file.metadata()["embedding"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            if about["format"] not in READ:
                raise ValueError(f"format {about['format']}, not {FORMAT}")
            weights = {name[len("encoder.") :]: t for name, t in tensors.items() if name.startswith("encoder.")}
            encoder = ENCODERS[about["made_of"]["encoder"]].from_state(weights, about["config"])
            content = tensors["keys"].numpy().tobytes()
            keys = tuple(content[i : i + DIGEST] for i in range(0, len(content), DIGEST))
            arrays = (tensors[name].numpy() for name in ("rows", "near", "gaps"))
            return cls(encoder, about["made_of"], keys, *arrays)
        # Whatever is wrong with it, the same is to be done: it can be computed again.
        except Exception as exc:
            raise StoreError(
                f"{path} cannot be used ({type(exc).__name__}: {exc}); delete it and run a round."
            ) from exc


def read_rows(path: Path) -> tuple[dict[bytes, int], Rows]:
    """Of a file that `PoolEmbedding.save` wrote, the items' digests with their rows, and the rows; without torch.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            keys, rows = file.get_tensor("keys"), file.get_tensor("rows").astype(np.float32, copy=False)
        if len(keys) != len(rows):
            raise ValueError("its parts differ in length")
    except (OSError, SafetensorError, ValueError) as exc:
        raise StoreError(f"{path} cannot be used ({exc}); delete it and run a round.") from exc
    return {key.tobytes(): place for place, key in enumerate(keys)}, rows


def made_of(
    encoder: type[Encoder], seed: int, options: Mapping[str, float] | None, read_by: str = ""
) -> dict[str, Any]:
    """What tells one learnt encoder from another; ``read_by`` where items as long may mean something else."""
    chosen = dict(encoder.options()) | dict(options or {})
    made = {"encoder": encoder.name, "seed": seed, "options": {name: float(v) for name, v in sorted(chosen.items())}}
    return made | ({"read_by": read_by} if read_by else {})


def digest(item: Any) -> bytes:
    """Stands for an item's content: a text, or an array."""
    content = item.encode() if isinstance(item, str) else np.ascontiguousarray(item).tobytes()
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def narrowed(rows: Vectors) -> Vectors:
    """The same numbers in 16 bits, where none of them needs more: encoders of texts round theirs to that.

    Of 100,000 texts, with 896 numbers each, these are 180 MB less.
    """
    found = np.empty(rows.shape, np.float16)
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        with np.errstate(over="ignore"):  # what is too large for 16 bits is not equal
            found[block] = rows[block]
        if not np.array_equal(found[block], rows[block]):
            return rows
    return found


def _nothing(encoder: Encoder, example: Any) -> tuple[Rows, Positions, NDArray[np.float32]]:
    dims = encoder.embed([example]).shape[1]
    return np.zeros((0, dims), np.float32), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32)


def _padded(near: Positions, gaps: NDArray[np.float32], width: int) -> tuple[Positions, NDArray[np.float32]]:
    """Lists of neighbours made as wide as others: with the item itself, which is no edge."""
    missing = width - near.shape[1]
    own = np.repeat(np.arange(len(near))[:, None], missing, axis=1)
    return np.hstack([near, own]), np.hstack([gaps, np.zeros_like(own, dtype=np.float32)])


@dataclass(frozen=True)
class Unlabelled:
    """What is known of the items before anybody labels one."""

    embedding: PoolEmbedding
    prior: NDArray[np.float64]
    """Expected share of each class ``[C]``."""
    drawn: frozenset[int] = frozenset()
    """Labelled tasks that chance chose: what is measured on them holds for the pool."""
    names: Rows | None = None
    """Vectors of the classes' descriptions ``[C, D]``, by the same encoder; None where they are not used."""
