"""Times the peer libraries on the arrays of bench.strategies. Runs in their own environment, .venv-peers.

``main(FOLDER, CASE, ...)`` reads ``arrays.npz`` and ``network.pt`` there and prints one JSON object: per case and peer
the CPU seconds of the fastest of some runs, or the error that kept it from running.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ENOUGH_SECONDS = 3.0
"""A call is repeated, at most ``REPEATS`` times, until it has taken this long."""
REPEATS = 5


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU seconds of the fastest run: unlike the clock's, they hardly depend on what else the machine does."""
    taken: list[float] = []
    while not taken or (len(taken) < REPEATS and sum(taken) < ENOUGH_SECONDS):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


Cases = dict[tuple[str, str], Callable[[], object]]


def cases(data: dict[str, np.ndarray], network: torch.nn.Module) -> Cases:
    """What to time, by case and peer."""
    return {**by_scores(data), **by_embeddings(data), ("dropout", "baal"): baal_predicts(data, network)}


def by_scores(data: dict[str, np.ndarray]) -> Cases:
    """Strategies that take probabilities alone."""
    from baal.active import heuristics
    from batchbald_redux.batchbald import get_bald_batch, get_batchbald_batch
    from modAL.uncertainty import _proba_entropy, _proba_margin
    from small_text.query_strategies.bayesian import _bald
    from small_text.query_strategies.strategies import BreakingTies

    p, passes, small = data["entropy"], data["bald"], data["batch_bald"]
    log_passes, log_small = (torch.from_numpy(array).double().log() for array in (passes, small))
    last = np.moveaxis(passes, 1, 2)
    return {
        ("entropy", "baal"): lambda: heuristics.Entropy().compute_score(p),
        ("entropy", "modAL"): lambda: _proba_entropy(p),
        ("margin", "baal"): lambda: heuristics.Margin().compute_score(p),
        ("margin", "modAL"): lambda: _proba_margin(p),
        ("margin", "small-text"): lambda: [BreakingTies._best_versus_second_best(row) for row in p],
        ("bald", "baal"): lambda: heuristics.BALD().compute_score(last),
        ("bald", "batchbald_redux"): lambda: get_bald_batch(log_passes, 10),
        ("bald", "small-text"): lambda: _bald(passes),
        ("batch_bald", "batchbald_redux"): lambda: get_batchbald_batch(log_small, 10, 10_000, dtype=torch.double),
    }


def by_embeddings(data: dict[str, np.ndarray]) -> Cases:
    """Strategies that take embeddings."""
    from skactiveml.pool import Badge, CoreSet, TypiClust
    from small_text.query_strategies.coresets import greedy_coreset

    pool, labelled = data["embeddings"], data["labelled"]
    rows = np.concatenate([pool, labelled])
    answers = np.concatenate([np.full(len(pool), np.nan), np.arange(len(labelled)) % 10.0])
    count, given = int(data["count"]), given_probabilities(data["mean"][:, 0])
    return {
        ("k_center", "scikit-activeml"): lambda: CoreSet(random_state=0).query(rows, answers, batch_size=count),
        ("k_center", "small-text"): lambda: greedy_coreset(
            rows, np.arange(len(pool)), np.arange(len(pool), len(rows)), count, distance_metric="euclidean"
        ),
        ("typiclust", "scikit-activeml"): lambda: TypiClust(random_state=0).query(rows, answers, batch_size=10),
        ("badge", "scikit-activeml"): lambda: Badge(random_state=0).query(
            rows, answers, given, fit_clf=False, batch_size=count
        ),
    }


def given_probabilities(p: np.ndarray) -> object:
    """A classifier that has already spoken, for scikit-activeml: only the strategy is timed."""
    from skactiveml.base import SkactivemlClassifier

    class GivenProbabilities(SkactivemlClassifier):
        def __init__(self, probabilities: np.ndarray) -> None:
            super().__init__(classes=list(range(10)))
            self.probabilities = probabilities

        def fit(self, *_: object) -> GivenProbabilities:
            return self

        def predict_proba(self, items: np.ndarray) -> np.ndarray:
            return self.probabilities[: len(items)]

    return GivenProbabilities(p)


def baal_predicts(data: dict[str, np.ndarray], network: torch.nn.Module) -> Callable[[], object]:
    """MC dropout as baal does it: it stacks the copies of a batch and runs them at once."""
    from baal.bayesian.dropout import patch_module

    images, iterations = torch.from_numpy(data["images"]), int(data["iterations"])
    bayesian = patch_module(network, inplace=False).eval()

    def predict() -> object:
        # As ModelWrapper.predict_on_batch.
        with torch.no_grad():
            for start in range(0, len(images), 32):
                batch = images[start : start + 32]
                stacked = torch.stack([batch] * iterations).flatten(0, 1)
                bayesian(stacked).softmax(dim=1).view(iterations, len(batch), -1).permute(1, 2, 0)
        return None

    return predict


def main(folder: str, *wanted: str) -> None:
    """Time the wanted cases."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found: dict[str, dict[str, float | str]] = {}
    with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(io.StringIO()):  # progress bars
        data = dict(np.load(Path(folder) / "arrays.npz"))
        network = torch.load(Path(folder) / "network.pt", weights_only=False)
        for (case, peer), call in cases(data, network).items():
            if case not in wanted:
                continue
            try:
                seconds: float | str = cpu_seconds(call)
            except Exception as exc:  # one peer that fails must not cost the others' figures
                seconds = f"{type(exc).__name__}: {exc}"
            found.setdefault(case, {})[peer] = seconds
    print(json.dumps(found))
