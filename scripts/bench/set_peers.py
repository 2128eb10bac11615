"""The peers' strategies for bench.sets: those that can be asked where an answer is a set. Runs in .venv-peers.

small-text has one for sets, which goes by probabilities. Its others, and those of scikit-activeml, take one class an
item; of these the ones that look at the items alone can be asked here, too.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bench.learning_loop import Picker, State, run


def main(arrays: str, result: str) -> None:
    """Draw the peers' curves; see `run`."""
    warnings.simplefilter("ignore")
    skactiveml = _skactiveml()
    typical = skactiveml.pop("scikit-activeml TypiClust")
    run(
        Path(arrays),
        {"warm": {**_small_text(), **skactiveml}, "cold": {"scikit-activeml TypiClust": typical}},
        Path(result),
    )


def _small_text() -> dict[str, Picker]:
    from small_text import CategoryVectorInconsistencyAndRanking, EmbeddingKMeans, GreedyCoreset
    from small_text.data import SklearnDataset

    class Given:
        """The final model."""

        def __init__(self, state: State) -> None:
            self.state = state

        def predict_proba(self, items: SklearnDataset) -> NDArray[np.float64]:
            return self.state.model.predict_proba(items.x)

    def dataset(state: State) -> SklearnDataset:
        sets = np.zeros((len(state.features), state.classes), dtype=np.int64)
        sets[state.labelled] = state.targets
        return SklearnDataset(state.features, sparse.csr_matrix(sets), target_labels=np.arange(state.classes))

    def by(strategy: object, *, embeddings: bool) -> Picker:
        def pick(s: State) -> NDArray[np.integer]:
            more = {"embeddings": s.features} if embeddings else {}
            known = sparse.csr_matrix(s.targets)
            rows = strategy.query(Given(s), dataset(s), s.open, s.labelled, known, n=s.count, **more)
            return np.searchsorted(s.open, rows)

        return pick

    return {
        "small-text CVIRS": by(CategoryVectorInconsistencyAndRanking(pbar=None), embeddings=False),
        "small-text coreset": by(GreedyCoreset(), embeddings=True),
        "small-text k-means": by(EmbeddingKMeans(), embeddings=True),
    }


def _skactiveml() -> dict[str, Picker]:
    from skactiveml.pool import CoreSet, TypiClust

    def by(make: object) -> Picker:
        def pick(s: State) -> NDArray[np.integer]:
            known = np.full(len(s.features), np.nan)
            known[s.labelled] = 0  # which rows are labelled is all that it asks
            return np.searchsorted(s.open, make(s).query(s.features, known, batch_size=s.count))

        return pick

    return {
        "scikit-activeml TypiClust": by(lambda s: TypiClust(random_state=s.seed)),
        "scikit-activeml CoreSet": by(lambda s: CoreSet(random_state=s.seed)),
    }
