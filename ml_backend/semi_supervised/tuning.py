"""Penalty and temperature of a classifier over a fixed encoder that learns from the pool, by labels left out.

Axes: ``N`` items of the pool, ``L`` labelled ones among them, ``P`` penalties, ``C`` classes.

Cross-validation within the pool would not do: the spread labels of neighbours are alike, right or wrong, so that it
takes the graph's mistakes for truth and shrinks too little. Here some labels are left out, the others are spread anew,
and what the classifiers then say of the labels left out decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from ml_backend import hardware
from ml_backend.models.base import LabeledItems
from ml_backend.models.several import are_sets
from ml_backend.models.temperature import best_factor, best_factor_of_sets
from ml_backend.semi_supervised.fitter import PoolFitter
from ml_backend.semi_supervised.graph import Floats, Positions
from ml_backend.semi_supervised.training import TrainingPool, Tuned, class_beliefs, likeliest, set_beliefs

if TYPE_CHECKING:
    from torch import Tensor

    from ml_backend.models.linear_head import LinearHead

PENALTIES: Final = (10.0, 3.0, 1.0, 0.3, 0.1)
"""What is chosen from, the strongest first."""
USUAL: Final = 1.0
"""Where too few labels can be left out."""
FEWEST: Final = 8
"""Labels left out, below which they tell nothing."""
MOST: Final = 4_000
"""Items of the pool that a trial learns from."""
DIRECTIONS: Final = 384
"""Features of a trial: of more, about those are taken along which the items spread furthest."""
LEAST_GAIN: Final = 1e-5
"""Share of the loss that a step of a trial must gain: which penalty is the best one shows long before the optimum."""


def tune(
    trainer: PoolFitter, pool: TrainingPool, known: LabeledItems, *, most: int = MOST, directions: int = DIRECTIONS
) -> Tuned:
    """The penalty whose classifiers say most of labels left out, and the temperature at which they do.

    By log-loss at each penalty's best temperature, in three folds. A label counts where its class has others. All
    trials learn from the same items, so that their vectors are made once.

    Args:
        trainer: of the classifiers, which are `LinearHead`.
        pool: what they learn from, and how labels spread over it.
        known: the labelled items, in the order of ``pool.labelled``.
        most: items of the pool that a trial learns from, at the most, beside the labelled ones.
        directions: features of a trial, at the most.
    """
    from ml_backend.models.logistic_regression import folds
    from ml_backend.models.main_directions import main_directions, near

    fold = folds(known.targets, trainer.seed)
    tested = np.zeros(0, np.int64) if fold is None else np.flatnonzero((fold >= 0) & (fold < 3))
    if fold is None or len(tested) < FEWEST:
        return Tuned(USUAL, 1.0)
    nodes = sample(pool, trainer.seed, most)
    # A penalty stands beside a sum over items: what is best for a few of them is scaled to all.
    scale, sets = len(pool.items) / len(nodes), are_sets(known.targets)
    found = np.zeros((len(PENALTIES), len(known.items), pool.classes), np.float32)
    solutions = []
    with hardware.threads():
        rows, steps = _rows(trainer, pool, nodes)
        turned = main_directions(rows, directions)
        x = rows @ turned
        for number in range(3):
            test = np.flatnonzero(fold == number)
            if len(test):
                train = np.flatnonzero((fold >= 0) & (fold != number))
                labelled, targets = pool.labelled[train], known.targets[train]
                if sets:
                    beliefs = set_beliefs(trainer, pool, labelled, targets)[nodes]
                else:
                    beliefs = class_beliefs(pool, labelled, targets)[nodes]
                left_out = x[np.searchsorted(nodes, pool.labelled[test])]
                found[:, test], at_each = _say(x, beliefs, left_out, steps, sets=sets)
                solutions.append(at_each)
    factor_of = best_factor_of_sets if sets else best_factor
    factors = [factor_of(logits[tested], known.targets[tested]) for logits in found]
    best = int(np.argmin([loss for _, loss in factors]))
    mean = np.mean([at_each[best] for at_each in solutions], axis=0)
    return Tuned(PENALTIES[best] * scale, factors[best][0], near(mean, x, turned, sets=sets))


def _rows(trainer: PoolFitter, pool: TrainingPool, nodes: Positions) -> tuple[Tensor, int]:
    """What a classifier sees of some nodes ``[M, D]``, and the steps of its training."""
    import torch

    head = cast("LinearHead", trainer.make())
    steps = max(int(dict(trainer.hyperparameters or {}).get("steps") or head.hyperparameters()["steps"]), 1)
    return torch.from_numpy(head.vectors([pool.items[i] for i in nodes], head.labels, trainer.hyperparameters)), steps


def _say(
    x: Tensor, beliefs: Floats, left_out: Tensor, steps: int, *, sets: bool
) -> tuple[Floats, list[NDArray[np.float64]]]:
    """Logits of labels left out at each penalty ``[P, T, C]``, by what `training.spread_once` learns; the solutions."""
    from ml_backend.models.linear_head import weighted, weighted_sets
    from ml_backend.models.logistic_regression import answers, minimise

    hard, likely = likeliest(beliefs, sets=sets)
    if sets:
        examples, _ = weighted_sets(x.numpy(), hard, likely)
    else:
        examples, _ = weighted(x.numpy(), hard, beliefs.shape[1], likely)
    solutions: list[NDArray[np.float64]] = []
    for penalty in PENALTIES:
        # The optimum of a like penalty is a short way off.
        start = solutions[-1] if solutions else None
        solutions.append(minimise(examples, penalty, steps, start=start, least_gain=LEAST_GAIN)[0])
    return np.stack([answers(solution, left_out).numpy() for solution in solutions]), solutions


def sample(pool: TrainingPool, seed: int, most: int) -> Positions:
    """Nodes that trials learn from, the labelled ones among them, rising."""
    if len(pool.items) <= most:
        return np.arange(len(pool.items))
    return np.union1d(np.random.default_rng([seed, 22]).permutation(len(pool.items))[:most], pool.labelled)
