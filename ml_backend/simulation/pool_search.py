"""The simulation of a round over a pool outside: only candidates are compared and learnt from, found in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.encoders import text_vectors
from ml_backend.models.base import Model
from ml_backend.models.several import takes_sets
from ml_backend.pool.candidates import Labelled, Sizes, find_candidates
from ml_backend.pool.neighbours import Neighbours
from ml_backend.pool.row_keys import row_keys
from ml_backend.pool.rows import Group, Rows
from ml_backend.pool.scoring import one_pass
from ml_backend.pool.utility import Head
from ml_backend.pool.vector_columns import Half
from ml_backend.pool.vector_pages import Some, in_memory
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.simulation.design import LabelledData
from ml_backend.simulation.oracle import Oracle
from ml_backend.strategies.picks import Positions

GROUP: Final = 4_096
SHARES: Final = (0.3, 0.4, 0.2)
"""Of the candidates: the best, each of the two samples, neighbours; as in `candidates.Sizes`, which may overlap."""


class PoolSearch:
    """The candidates of one run.

    Args:
        data: the items.
        oracle: the run's.
        settings: the run's.
        whole: the embedding of all items.
        count: candidates, about.
        encoder: of texts.
    """

    def __init__(
        self,
        data: LabelledData,
        oracle: Oracle,
        settings: ProjectSettings,
        whole: Unlabelled | None,
        count: int,
        encoder: str,
    ) -> None:
        self._data, self._oracle, self._settings, self._whole = data, oracle, settings, whole
        self._sizes = Sizes(*(round(share * count) for share in SHARES))
        self._encoder = encoder
        self._neighbours = Neighbours("all")
        self.candidates: Positions = np.zeros(0, np.int64)
        """Rising; some of them may have been labelled since."""

    @property
    def open(self) -> Positions:
        """Candidates without a label."""
        return np.intersect1d(self.candidates, self._oracle.open)

    @property
    def pool(self) -> Positions:
        """What models learn from: candidates and labelled items."""
        return np.union1d(self.open, self._oracle.labelled)

    def search(self, model: Model | None) -> None:
        """Find candidates by this model."""
        labelled = self._oracle.labelled.tolist()
        found = find_candidates(
            lambda wanted: one_pass(self._groups(), wanted, None if model is None else _Head(model)),
            self._settings,
            trained=model is not None,
            taken=row_keys([str(place) for place in labelled]),
            labelled=Labelled(labelled, lambda places: self._vectors(list(places)).astype(np.float32)),
            neighbours=self._neighbours,
            sizes=self._sizes,
        )
        self._neighbours = found.neighbours
        names = [] if found.rows is None else found.rows.names
        self.candidates = np.array(sorted(map(int, names)), dtype=np.int64)

    def unlabelled(self) -> Unlabelled | None:
        """The embedding of `pool` alone, by the encoder of all."""
        if self._whole is None:
            return None
        return replace(self._whole, embedding=self._whole.embedding.only(self._oracle.items(self.pool)))

    def _groups(self) -> Iterator[Group]:
        places = self._oracle.pool.tolist()
        for start in range(0, len(places), GROUP):
            yield partial(self._group, places[start : start + GROUP])

    def _group(self, places: Sequence[int]) -> Rows:
        return Rows.of([str(place) for place in places], self._vectors(places))

    def _vectors(self, places: Sequence[int]) -> Half:
        items = [self._data.items[place] for place in places]
        if self._data.model.object_tag == "Text":
            return text_vectors.encode(self._encoder or text_vectors.AUTO, items).astype(np.float16)
        return np.stack(items).reshape(len(items), -1).astype(np.float16)


class _Head(Head):
    """A model over vectors, as `pool.heads.Head` is of a stored version."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def several(self) -> bool:
        """Whether its answers are sets."""
        return takes_sets(self._model)

    def probabilities(self, vectors: Some, *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Of each row ``[n, K, C]``."""
        seen = self._model.seen(in_memory(vectors).astype(np.float32))
        found: NDArray[np.float32] = self._model.feature_probabilities(seen, samples=samples, seed=seed)
        return found
