"""The strategies' share of the benchmark: arrays that ours and the peers get alike, and what ours do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.peers import cpu_seconds
from ml_backend.draws import draws_for
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.registry import STRATEGIES, pick

Arrays = dict[str, NDArray]

TITLES: Final = {
    "entropy": "entropy of 1,000,000 x 10",
    "margin": "margin of 1,000,000 x 10",
    "bald": "BALD of 8,000 x 20 x 10",
    "batch_bald": "BatchBALD, 10 of 1,000 x 20 x 10",
    "k_center": "k-center, 100 of 8,000 x 64",
    "badge": "BADGE, 100 of 8,000 x 64, 10 classes",
    "typiclust": "TypiClust, 10 of 8,000 x 64",
}
COUNTS: Final = {"batch_bald": 10, "k_center": 100, "badge": 100, "typiclust": 10}


def make_arrays(seed: int = 0) -> Arrays:
    """Probabilities and embeddings that look like a model's: ten classes, clustered, few items uncertain."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (10, 64))
    embeddings = centres[rng.integers(10, size=8_100)] + rng.normal(0, 1.5, (8_100, 64))
    logits = embeddings @ centres.T / 24
    passes = logits[:8_000, None, :] + rng.normal(0, 0.6, (8_000, 20, 10))
    return {
        "entropy": _softmax(rng.normal(0, 2.5, (1_000_000, 10))).astype(np.float32),
        "bald": _softmax(passes),
        "batch_bald": _softmax(passes[:1_000]),
        "mean": _softmax(logits[:8_000])[:, None, :],
        "embeddings": embeddings[:8_000],
        "labelled": embeddings[8_000:],
        "count": np.array(100),
    }


def our_seconds(arrays: Arrays) -> dict[str, float]:
    """CPU seconds of each case, by the entries of the registry."""
    return {case: cpu_seconds(call) for case, call in _ours(arrays).items()}


def one_reading(arrays: Arrays) -> float:
    """CPU seconds to read the large probabilities once: the limit that memory sets."""
    values = arrays["entropy"]
    return cpu_seconds(lambda: np.add.reduce(values.ravel()))


def _ours(arrays: Arrays) -> dict[str, Callable[[], object]]:
    inputs = {
        "entropy": _inputs(arrays["entropy"][:, None, :]),
        "bald": _inputs(arrays["bald"]),
        "batch_bald": _inputs(arrays["batch_bald"]),
        "geometry": _inputs(arrays["mean"], arrays["embeddings"], arrays["labelled"]),
    }
    which = {"margin": "entropy", "k_center": "geometry", "badge": "geometry", "typiclust": "geometry"}

    def call(case: str) -> Callable[[], object]:
        strategy, known = STRATEGIES[case], inputs[which.get(case, case)]
        if strategy.score is not None:
            return lambda: strategy.score(known)
        return lambda: pick(strategy, known, COUNTS[case])

    return {case: call(case) for case in TITLES}


def _inputs(p: NDArray, embeddings: NDArray | None = None, labelled: NDArray | None = None) -> StrategyInputs:
    ids = np.arange(len(p), dtype=np.int64)
    return StrategyInputs(
        ids,
        draws_for(ids, 0),
        draws_for(ids, 1),
        classes=p.shape[2],
        probabilities=p,
        embeddings=embeddings,
        labelled=labelled,
    )


def _softmax(logits: NDArray) -> NDArray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
