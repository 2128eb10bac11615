"""The peers' strategies for bench.learning, each asked through its library's own interface. Runs in .venv-peers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.learning_loop import Picker, State, over_classes, run

SWITCH = 50
"""Labels at which a strategy for first labels gives way to margin."""


def main(arrays: str, result: str) -> None:
    """Draw the peers' curves; see `run`."""
    warnings.simplefilter("ignore")
    skactiveml = _skactiveml()
    margin, covering = skactiveml["scikit-activeml margin"], skactiveml.pop("scikit-activeml ProbCover")
    typical = skactiveml["scikit-activeml TypiClust"]

    def then_margin(begin: Picker) -> Picker:
        # What a user of the library would write: neither is meant for many labels.
        return lambda s: (begin if len(s.labelled) < SWITCH else margin)(s)

    cold = {
        "scikit-activeml TypiClust": typical,
        "scikit-activeml TypiClust, then margin": then_margin(typical),
        "scikit-activeml ProbCover, then margin": then_margin(covering),
    }
    run(Path(arrays), {"warm": {**_modal(), **_small_text(), **skactiveml, **_baal()}, "cold": cold}, Path(result))


def _modal() -> dict[str, Picker]:
    from modAL.uncertainty import entropy_sampling, margin_sampling

    def by(strategy: object) -> Picker:
        return lambda s: np.ravel(strategy(s.model, s.features[s.open], n_instances=s.count)[0])

    return {"modAL margin": by(margin_sampling), "modAL entropy": by(entropy_sampling)}


def _small_text() -> dict[str, Picker]:
    from small_text import BreakingTies, EmbeddingKMeans, GreedyCoreset, PredictionEntropy
    from small_text.data import SklearnDataset

    class Given:
        """The final model. It is asked for the whole pool, labelled rows too."""

        def __init__(self, state: State) -> None:
            self.state = state

        def predict_proba(self, items: SklearnDataset) -> NDArray[np.float64]:
            return over_classes(self.state.model, items.x, self.state.classes)

    def dataset(state: State) -> SklearnDataset:
        labels = np.zeros(len(state.features), dtype=np.int64)
        labels[state.labelled] = state.targets
        return SklearnDataset(state.features, labels, target_labels=np.arange(state.classes))

    def by_probabilities(strategy: object) -> Picker:
        def pick(s: State) -> NDArray[np.integer]:
            rows = strategy.query(Given(s), dataset(s), s.open, s.labelled, s.targets, n=s.count)
            return np.searchsorted(s.open, rows)

        return pick

    def by_embeddings(strategy: object) -> Picker:
        def pick(s: State) -> NDArray[np.integer]:
            rows = strategy.query(Given(s), dataset(s), s.open, s.labelled, s.targets, n=s.count, embeddings=s.features)
            return np.searchsorted(s.open, rows)

        return pick

    return {
        "small-text breaking ties": by_probabilities(BreakingTies()),
        "small-text entropy": by_probabilities(PredictionEntropy()),
        "small-text coreset": by_embeddings(GreedyCoreset()),
        "small-text k-means": by_embeddings(EmbeddingKMeans()),
    }


def _skactiveml() -> dict[str, Picker]:
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge, CoreSet, ProbCover, TypiClust, UncertaintySampling

    class Given(SkactivemlClassifier):
        """The final model, as it was trained."""

        def __init__(self, state: State | None = None) -> None:
            super().__init__(classes=list(range(state.classes if state else 2)))
            self.state = state

        def fit(self, *_: object) -> Given:
            return self

        def predict_proba(self, items: NDArray[np.float64]) -> NDArray[np.float64]:
            out = np.zeros((len(items), self.state.classes))
            out[:, self.state.model.classes_] = self.state.model.predict_proba(items)
            return out

    def answers(s: State) -> NDArray[np.float64]:
        y = np.full(len(s.features), np.nan)
        y[s.labelled] = s.targets
        return y

    def rows(s: State, picked: NDArray[np.integer]) -> NDArray[np.integer]:
        return np.searchsorted(s.open, picked)

    def with_model(make: object) -> Picker:
        return lambda s: rows(
            s, make(s.seed).query(s.features, answers(s), Given(s), fit_clf=False, batch_size=s.count)
        )

    def without(make: object) -> Picker:
        return lambda s: rows(s, make(s).query(s.features, answers(s), batch_size=s.count))

    return {
        "scikit-activeml margin": with_model(
            lambda seed: UncertaintySampling(method="margin_sampling", random_state=seed)
        ),
        "scikit-activeml Badge": with_model(lambda seed: Badge(random_state=seed)),
        "scikit-activeml TypiClust": without(lambda s: TypiClust(random_state=s.seed)),
        "scikit-activeml ProbCover": without(lambda s: ProbCover(n_classes=s.classes, random_state=s.seed)),
        "scikit-activeml CoreSet": without(lambda s: CoreSet(random_state=s.seed)),
    }


def _baal() -> dict[str, Picker]:
    from baal.active import heuristics

    def by(heuristic: object, passes: bool) -> Picker:
        return lambda s: heuristic(np.moveaxis(s.passes(), 1, 2) if passes else s.probabilities)[: s.count]

    return {"baal margin": by(heuristics.Margin(), False), "baal BALD": by(heuristics.BALD(), True)}
