"""The query strategies, by name.

Add one: a module with a function and its `Strategy`, and a line here; or, from another package, an entry point in the
group ``ml_backend.strategies``. The command line, the settings, the simulation, the dashboard, the reference
(docs/reference/strategies.md) and the contract tests follow the registry.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError, PluginError
from ml_backend.registry import Registry
from ml_backend.strategies.base import Strategy
from ml_backend.strategies.inputs import StrategyInputs
from ml_backend.strategies.picks import Floats, Picks, first_of_copies
from ml_backend.strategies.several import scored


def _problem(_: str, entry: Any) -> str | None:
    if not isinstance(entry, Strategy):
        return f"is a {type(entry).__name__}, not a Strategy"
    if (entry.score is None) == (entry.pick is None):
        return "must have a function under `score` or under `pick`, not both"
    return None


STRATEGIES: Final[Registry[Strategy]] = Registry(
    "strategy",
    "ml_backend.strategies",
    {
        "auto": "ml_backend.strategies.auto:AUTO",
        "entropy": "ml_backend.strategies.acquisition:ENTROPY",
        "dropout_entropy": "ml_backend.strategies.acquisition:DROPOUT_ENTROPY",
        "bald": "ml_backend.strategies.acquisition:BALD",
        "least_confidence": "ml_backend.strategies.acquisition:LEAST_CONFIDENCE",
        "margin": "ml_backend.strategies.acquisition:MARGIN",
        "ratio": "ml_backend.strategies.acquisition:RATIO",
        "variation_ratio": "ml_backend.strategies.acquisition:VARIATION_RATIO",
        "epig": "ml_backend.strategies.acquisition:EPIG",
        "batch_bald": "ml_backend.strategies.batch_bald:BATCH_BALD",
        "power_bald": "ml_backend.strategies.acquisition:POWER_BALD",
        "badge": "ml_backend.strategies.badge:BADGE",
        "k_center": "ml_backend.strategies.geometry:K_CENTER",
        "typiclust": "ml_backend.strategies.clusters:TYPICLUST",
        "probcover": "ml_backend.strategies.geometry:PROBCOVER",
        "cluster": "ml_backend.strategies.clusters:CLUSTER",
        "representative": "ml_backend.strategies.geometry:REPRESENTATIVE",
        "adaptive_representative": "ml_backend.strategies.geometry:ADAPTIVE_REPRESENTATIVE",
        "novelty": "ml_backend.strategies.novelty:NOVELTY",
        "model_outlier": "ml_backend.strategies.transfer:MODEL_OUTLIER",
        "active_transfer": "ml_backend.strategies.transfer:ACTIVE_TRANSFER",
        "atlas": "ml_backend.strategies.transfer:ATLAS",
        "predictions": "ml_backend.strategies.predictions:PREDICTIONS",
        "random": "ml_backend.strategies.uniform:RANDOM",
    },
    _problem,
)


def get_strategy(name: str) -> Strategy:
    """Look a strategy up.

    Raises:
        AcquisitionError: the name is not registered (the message lists those that are), or its plug-in is broken.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        raise AcquisitionError(f"Unknown strategy {name!r}; choose one of: {', '.join(STRATEGIES)}.") from None
    except PluginError as exc:
        raise AcquisitionError(str(exc)) from exc


def pick(strategy: Strategy, inputs: StrategyInputs, count: int) -> Picks:
    """The first ``count`` items under a strategy; all where there are fewer.

    Copies of an item that a batch-aware strategy has chosen from come after all other items.
    """
    if strategy.score is not None:
        scores = np.clip(scored(strategy, inputs), 0.0, 1.0)
        order = _largest(scores, count)
        return Picks.of(order, scores[order])
    if strategy.pick is None:
        raise AcquisitionError("A strategy has a function under `score` or under `pick`; this one has none.")
    if strategy.copies is None or not len(inputs):
        return strategy.pick(inputs, count)
    first = first_of_copies(strategy.copies(inputs))
    rows = np.flatnonzero(first)
    chosen = strategy.pick(inputs.take(rows), count)
    copies = np.flatnonzero(~first)[: max(0, count - len(chosen.order))]
    order = np.concatenate([rows[chosen.order], copies])
    reasons = {int(rows[position]): reason for position, reason in chosen.reasons.items()}
    reasons |= dict.fromkeys(copies.tolist(), "a copy of a task that is asked before")
    return Picks.of(order, np.concatenate([chosen.utility, np.zeros(len(copies))]), reasons)


def _largest(scores: Floats, count: int) -> NDArray[np.int64]:
    """Positions of the largest scores, largest first; of equal ones the earlier."""
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count] if count else np.inf
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    return np.asarray(candidates[np.argsort(-scores[candidates], kind="stable")][:count], dtype=np.int64)
