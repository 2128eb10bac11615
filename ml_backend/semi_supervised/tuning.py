"""Penalty and temperature of a classifier over a fixed encoder that learns from the pool, by labels left out.

Axes: ``N`` items of the pool, ``L`` labelled ones among them, ``P`` penalties, ``C`` classes.

Cross-validation within the pool would not do: the spread labels of neighbours are alike, right or wrong, so that it
takes the graph's mistakes for truth and shrinks too little. Here some labels are left out, the others are spread anew,
and what the classifiers then say of the labels left out decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np

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
"""Features of a trial: of more, those are taken along which the items spread furthest."""


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
    import torch

    from ml_backend.models.logistic_regression import along_main_directions, folds

    fold = folds(known.targets, trainer.seed)
    tested = np.zeros(0, np.int64) if fold is None else np.flatnonzero((fold >= 0) & (fold < 3))
    if fold is None or len(tested) < FEWEST:
        return Tuned(USUAL, 1.0)
    head = cast("LinearHead", trainer.make())
    steps = max(int(dict(trainer.hyperparameters or {}).get("steps") or head.hyperparameters()["steps"]), 1)
    nodes = sample(pool, trainer.seed, most)
    # A penalty stands beside a sum over items: what is best for a few of them is scaled to all.
    scale = len(pool.items) / len(nodes)
    found = np.zeros((len(PENALTIES), len(known.items), pool.classes), np.float32)
    with hardware.threads():
        rows = head.vectors([pool.items[i] for i in nodes], head.labels, trainer.hyperparameters)
        x = along_main_directions(torch.from_numpy(rows), directions)
        for number in range(3):
            test = np.flatnonzero(fold == number)
            if len(test):
                train = np.flatnonzero((fold >= 0) & (fold != number))
                labelled, targets = pool.labelled[train], known.targets[train]
                if are_sets(targets):
                    beliefs = set_beliefs(trainer, pool, labelled, targets)[nodes]
                else:
                    beliefs = class_beliefs(pool, labelled, targets)[nodes]
                left_out = x[np.searchsorted(nodes, pool.labelled[test])]
                found[:, test] = _say(x, beliefs, left_out, steps, sets=are_sets(known.targets))
    factor_of = best_factor_of_sets if are_sets(known.targets) else best_factor
    factors = [factor_of(rows[tested], known.targets[tested]) for rows in found]
    best = int(np.argmin([loss for _, loss in factors]))
    return Tuned(PENALTIES[best] * scale, factors[best][0])


def _say(x: Tensor, beliefs: Floats, left_out: Tensor, steps: int, *, sets: bool) -> Floats:
    """Logits of labels left out at each penalty ``[P, T, C]``, by what `training.spread_once` learns."""
    from ml_backend.models.linear_head import weighted, weighted_sets
    from ml_backend.models.logistic_regression import answers, minimise

    hard, likely = likeliest(beliefs, sets=sets)
    if sets:
        examples, _ = weighted_sets(x.numpy(), hard, likely)
    else:
        examples, _ = weighted(x.numpy(), hard, beliefs.shape[1], likely)
    says, solution = [], None
    for penalty in PENALTIES:
        # The optimum of a like penalty is a short way off.
        solution, _ = minimise(examples, penalty, steps, start=solution)
        says.append(answers(solution, left_out).numpy())
    return np.stack(says)


def sample(pool: TrainingPool, seed: int, most: int) -> Positions:
    """Nodes that trials learn from, the labelled ones among them, rising."""
    if len(pool.items) <= most:
        return np.arange(len(pool.items))
    return np.union1d(np.random.default_rng([seed, 22]).permutation(len(pool.items))[:most], pool.labelled)
