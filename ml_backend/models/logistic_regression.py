"""Multinomial logistic regression: its exact optimum, and its penalty chosen by cross-validation.

Of sets of classes, a logistic regression for each class, all found at once.

Axes: ``N`` items, ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from ml_backend import hardware
from ml_backend.models.main_directions import Near, Stretch
from ml_backend.models.temperature import (
    best_factor,
    best_factor_of_sets,
    binary_cross_entropies,
    cross_entropies,
)

TOLERANCE: Final = 1e-5
"""Largest derivative of the mean loss at which the optimum counts as found."""
LEAST_GAIN: Final = 1e-7
"""Share of the loss that a step must gain: below, float32 sums know no better."""
PENALTIES: Final = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""What cross-validation chooses from, the strongest first."""
FOLDS: Final = 3
FOLD_SEED: Final = 0
"""The same folds whatever the training's seed: nothing else about it is drawn."""
MOST: Final = 3_000
"""Examples that the penalty is chosen with, at the most."""
USUAL: Final = 1.0
"""Penalty where no class has two examples to choose it by."""
BLOCK: Final = 1_024
"""Examples at a time of which a loss is summed up: what the processor's cache holds."""

Solution = NDArray[np.float64]
"""``[C, D + 1]``: weights, and the bias as the last column."""


@dataclass(frozen=True)
class Examples:
    """What is learnt from."""

    x: Tensor
    """Features ``[N, D]``, in 32 bits, or in 16 where these hold all of them."""
    y: Tensor
    """Class probabilities, or sets ``[N, C]``."""
    weights: Tensor
    """How much each item counts ``[N]``; of sets, for each class ``[N, C]``."""

    @property
    def are_sets(self) -> bool:
        """Whether each class is asked for by itself."""
        return self.weights.ndim == 2

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """Some of them."""
        picked = torch.from_numpy(rows)
        return Examples(self.x[picked].float(), self.y[picked], self.weights[picked])

    def blocks(self) -> Iterator[Examples]:
        """All of them in 32 bits, `BLOCK` at a time; each is done with when the next is asked for.

        A large pool's features in 32 bits would be some hundred megabytes.
        """
        wide = torch.empty(min(BLOCK, len(self.x)), self.x.shape[1])
        for start in range(0, len(self.x), BLOCK):
            some = slice(start, start + BLOCK)
            x = self.x[some]
            yield Examples(x if x.dtype == wide.dtype else wide[: len(x)].copy_(x), self.y[some], self.weights[some])

    @property
    def shape(self) -> tuple[int, int]:
        """``(C, D + 1)``, of a solution."""
        return self.y.shape[1], self.x.shape[1] + 1


def minimise(
    examples: Examples,
    penalty: float,
    steps: int,
    *,
    start: Solution | Near | None = None,
    on_step: Callable[[Solution], None] | None = None,
    least_gain: float = LEAST_GAIN,
) -> tuple[Solution, tuple[float, ...]]:
    """The minimum of ``1 / Σw · (Σ w_i CE(y_i, softmax(W x_i + b)) + penalty / 2 |W|²)``, and the loss of each step.

    Of sets ``1 / Σw · (Σ_ic w_ic CE(y_ic, sigmoid(W x_i + b)_c) + penalty / 2 |W|²)``, ``Σw`` the mean of the classes'.

    ``penalty`` is scikit-learn's ``1 / C``. The problem is convex and nothing is drawn: the same examples give the
    same weights. By L-BFGS (Liu & Nocedal 1989, https://doi.org/10.1007/BF01589116).

    Args:
        examples: items, class probabilities and weights.
        penalty: of the squared weights, >= 0.
        steps: of the optimizer, at the most.
        start: where it begins, such as the solution of a problem like it, or what that tells beside it; None: at 0.
        on_step: called after each step with where it is then.
        least_gain: share of the loss that a step must gain.
    """
    from scipy.optimize import OptimizeResult, minimize

    problem, losses = _Problem.of(examples, penalty, start), list[float]()
    first = np.zeros(examples.shape) if start is None else start

    def after(intermediate_result: OptimizeResult) -> None:
        losses.append(float(intermediate_result.fun))
        if on_step is not None:
            on_step(problem.solution(intermediate_result.x))

    begin = problem.coordinates(first.solution if isinstance(first, Near) else first)
    options = {"maxiter": max(steps, 1), "ftol": least_gain, "gtol": TOLERANCE}
    with hardware.threads():  # scipy's own wait for each other at every step of the optimizer
        found = minimize(problem.loss, begin, jac=True, method="L-BFGS-B", callback=after, options=options)
    return problem.solution(found.x), tuple(losses or [float(found.fun)])


@dataclass(frozen=True)
class _Problem:
    """The loss of coordinates, flat as scipy wants them ``[C (D + 1)]``: the weights, or what stretches into them."""

    examples: Examples
    penalty: float
    total: float
    """Of the examples' weights."""
    stretch: Stretch | None

    @classmethod
    def of(cls, examples: Examples, penalty: float, start: Solution | Near | None) -> _Problem:
        total = float(examples.weights.sum()) / (examples.weights.shape[1] if examples.are_sets else 1)
        stretch = start.stretched(penalty / total) if isinstance(start, Near) else None
        return cls(examples, penalty, total, stretch)

    def loss(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The loss, and its slope by the coordinates."""
        both, shrink = self._both(flat), self.penalty / self.total
        weight = both[:, :-1]
        own, by_both = torch.zeros(()), torch.zeros_like(both)
        for block in self.examples.blocks():
            logits = torch.addmm(both[:, -1], block.x, weight.T)
            lost, slope = _loss(logits, block, block.weights / self.total)
            own += lost
            by_both += torch.hstack([slope.T @ block.x, slope.sum(dim=0)[:, None]])
        by_both[:, :-1] += shrink * weight
        by_both = by_both if self.stretch is None else self.stretch(by_both)
        return float(own + shrink / 2 * weight.square().sum()), by_both.double().numpy().ravel()

    def solution(self, flat: NDArray[np.float64]) -> Solution:
        """The weights and biases that coordinates stand for."""
        return flat.reshape(self.examples.shape) if self.stretch is None else self._both(flat).double().numpy()

    def coordinates(self, solution: Solution) -> NDArray[np.float64]:
        """Those of weights and biases, flat."""
        return (solution if self.stretch is None else self.stretch.undone(_tensor(solution)).double().numpy()).ravel()

    def _both(self, flat: NDArray[np.float64]) -> Tensor:
        both = _tensor(flat.reshape(self.examples.shape))
        return both if self.stretch is None else self.stretch(both)


def _tensor(solution: Solution) -> Tensor:
    return torch.from_numpy(solution.astype(np.float32))


def _loss(logits: Tensor, examples: Examples, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The examples' loss, and its derivative by the logits ``[N, C]``."""
    if examples.are_sets:
        each = binary_cross_entropy_with_logits(logits, examples.y, reduction="none")
        return (shares * each).sum(), (torch.sigmoid(logits) - examples.y) * shares
    log_p = log_softmax(logits, dim=1)
    return -(shares @ (examples.y * log_p).sum(dim=1)), (log_p.exp() - examples.y) * shares[:, None]


def choose_penalty(examples: Examples, steps: int) -> float:
    """The one of `PENALTIES` whose models say most of examples left out, over `FOLDS` folds.

    By the weighted log-loss of their likeliest classes at each penalty's best temperature: a strong penalty makes
    small weights, which says nothing about the order of the answers; see `strongest_of_the_best`.

    Args:
        examples: as of `minimise`; more than `MOST` are thinned out, each class by its share.
        steps: of each fit, at the most.
    """
    classes = examples.y.numpy() if examples.are_sets else examples.y.argmax(dim=1).numpy()
    fold = folds(classes, FOLD_SEED)
    if fold is None:
        return USUAL
    logits = np.zeros((len(PENALTIES), *examples.y.shape), np.float32)
    for number in range(FOLDS):
        tested = np.flatnonzero(fold == number)
        train, x = examples.take(np.flatnonzero((fold >= 0) & (fold != number))), examples.take(tested).x
        solution = None
        for position, penalty in enumerate(PENALTIES):
            solution, _ = minimise(train, penalty, steps, start=solution)
            logits[position, tested] = answers(solution, x).numpy()
    told = np.flatnonzero((fold >= 0) & (fold < FOLDS))
    weights = examples.weights.numpy()[told]
    weights = weights.mean(axis=1) if examples.are_sets else weights
    factor_of, losses_of = (
        (best_factor_of_sets, binary_cross_entropies) if examples.are_sets else (best_factor, cross_entropies)
    )
    factors = [factor_of(rows[told], classes[told], weights)[0] for rows in logits]
    losses = [losses_of(rows[told], classes[told], f) for rows, f in zip(logits, factors, strict=True)]
    return PENALTIES[strongest_of_the_best(np.stack(losses), weights)]


def strongest_of_the_best(losses: NDArray[np.floating], weights: NDArray[np.floating]) -> int:
    """The first row of ``losses [P, N]`` that is no more than one standard error above the best, paired by item.

    The rule of one standard error (Breiman, Friedman, Olshen & Stone 1984): a few labels cannot tell penalties apart
    that are close, and a weak one ranks worse where the choice errs.
    """
    shares = weights / weights.sum()
    best = losses[int(np.argmin(losses @ shares))]
    apart = losses - best
    means = apart @ shares
    errors = np.sqrt(((apart - means[:, None]) ** 2) @ shares**2)
    return int(np.argmax(means <= errors))


def folds(classes: NDArray[Any], seed: int) -> NDArray[np.int64] | None:
    """The fold of each example ``[N]``, -1 for those beyond `MOST`; None where no class has two examples.

    Each class is spread evenly; a class of one example stays out of all tests. Of sets ``[N, C]`` an item counts as one
    of its rarest class.
    """
    if classes.ndim == 2:
        classes = rarest(classes)
    counts = np.bincount(classes)
    if counts.max() < 2 or np.count_nonzero(counts) < 2:
        return None
    drawn = np.random.default_rng([seed, 21]).permutation(len(classes))
    order = drawn[np.argsort(classes[drawn], kind="stable")]
    kept = order[np.arange(min(MOST, len(order))) * len(order) // min(MOST, len(order))]
    fold = np.full(len(classes), -1, np.int64)
    fold[kept] = np.arange(len(kept)) % FOLDS
    fold[counts[classes] < 2] = FOLDS  # of all trainings, of no test
    return fold


def rarest(sets: NDArray[Any]) -> NDArray[np.int64]:
    """The rarest class of each set ``[N]``; the number of classes stands for the empty one."""
    has = np.asarray(sets >= 0.5)
    counts = np.where(has, has.sum(axis=0), len(has) + 1)
    return np.where(has.any(axis=1), counts.argmin(axis=1), has.shape[1]).astype(np.int64)


def answers(solution: Solution, x: Tensor) -> Tensor:
    """Logits ``[N, C]``."""
    both = torch.from_numpy(solution.astype(np.float32))
    return torch.addmm(both[:, -1], x, both[:, :-1].T)


def cross_entropy(solution: Solution, x: Tensor, y: Tensor) -> Tensor:
    """Of each item ``[N]``, in nats."""
    return -(y * log_softmax(answers(solution, x), dim=1)).sum(dim=1)


def binary_cross_entropy(solution: Solution, x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Of each set ``[N]``, in nats: of all its classes, those that are in it by their weights ``[C]``."""
    each = binary_cross_entropy_with_logits(answers(solution, x), y, pos_weight=weights, reduction="none")
    return each.sum(dim=1)


def put(solution: Solution, head: nn.Linear) -> None:
    """Make a solution the weights of a linear layer."""
    both = torch.from_numpy(solution.astype(np.float32))
    with torch.no_grad():
        head.weight.copy_(both[:, :-1])
        head.bias.copy_(both[:, -1])
