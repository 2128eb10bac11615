"""Fit a model to few labels and many items without, where that does better than the labels alone.

Axes: ``L`` labelled items, ``V`` evaluation items, ``C`` classes.

`pool_training` says how a model learns from the pool. A model of the labels alone is the rival: whichever does better
on the evaluation items is used. Without any, the labels alone are used where cross-validation shows that they do
better on labels that chance drew. Labels that a strategy asked for do not count: it asks where the graph is in doubt,
so the graph does far worse on them than on the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.evaluation.promotion import CHANCE, compare
from ml_backend.models.base import LabeledItems, Model, TrainingReport
from ml_backend.models.linear_head import LinearHead
from ml_backend.models.several import answers_of, are_sets, equal_answers
from ml_backend.semi_supervised.calibration import FOLD_STEPS, FOLDS, calibrate, calibrate_across
from ml_backend.semi_supervised.class_names import strength
from ml_backend.semi_supervised.earlier import Earlier, goes_on
from ml_backend.semi_supervised.fitter import PoolFitter, Recipe
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.semi_supervised.set_spreading import expected
from ml_backend.semi_supervised.shares import plausible, set_rates
from ml_backend.semi_supervised.thresholds import suit
from ml_backend.semi_supervised.training import (
    TrainingPool,
    Tuned,
    cross_validated,
    cross_validations,
    from_labels,
    from_pool,
    trainings,
)
from ml_backend.semi_supervised.tuning import tune

UNLABELLED_TOO: Final = "tasks, labelled or not"
"""What is learnt from, beside the labels alone."""
FEWEST_OPEN: Final = 200
"""Open items below which they teach a model nothing worth the longer training."""
TRUSTED_PER_CLASS: Final = 10
"""Labels a class above which its shares of the classes are not taken on trust, see `plausible`."""
FEWEST_EVALUATED: Final = 30
"""Evaluation items below which cross-validation decides."""
FEWEST_DRAWN: Final = 20
"""Randomly drawn labels below which nothing can be told from them."""


@dataclass(frozen=True)
class Fit:
    """A model, and what it learnt from."""

    model: Model
    training: TrainingReport
    learnt_from: str
    """``pool``, or ``labels``."""
    reason: str
    """Why, in a sentence; empty where there was no pool to choose."""
    pool_score: float | None = None
    """`macro_f` of learning from the pool, where it was measured."""
    labels_score: float | None = None
    """`macro_f` of learning from the labels alone, likewise."""
    in_a_row: int = 0
    """Trainings since the last from scratch: 0 where this is one, see `earlier`."""


@dataclass(frozen=True)
class OpenItems:
    """The open items of a pool, read where they are needed."""

    count: int
    """How many there are."""
    read: Callable[[], Sequence[Any]]
    """Reads the pool: these items, the labelled ones among them or not."""
    unlabelled: Unlabelled | None
    """An embedding of all of them, and the classes' shares; None where there is none."""


def fit_with_pool(
    recipe: Recipe,
    known: LabeledItems,
    items: Sequence[Any],
    unlabelled: Unlabelled,
    *,
    drawn: NDArray[np.bool_] | None = None,
    earlier: Earlier | None = None,
) -> Fit:
    """Fit to labels and pool, or to labels alone where that does better.

    Args:
        recipe: of the models.
        known: the labelled items.
        items: the pool, labelled items included or not.
        unlabelled: an embedding of all of them, and the classes' shares.
        drawn: which labelled items chance chose ``[L]``; None: none of them.
        earlier: the version before, to go on from where that may be.

    Raises:
        ModelError: as from ``Model.fit``.
    """
    source = TrainingPool.of(items, known, unlabelled)
    make, evaluation = recipe.make, recipe.evaluation
    most = goes_on(make(), recipe.hyperparameters) if earlier else 0
    start = earlier.start(most, known.targets, len(source.items)) if earlier and most else None
    if evaluation is not None and len(evaluation.items) >= FEWEST_EVALUATED:
        count = trainings(make, start) + rival_trainings(make)
        found = _by_evaluation(recipe.fitter(count, start), source, known, evaluation)
    else:
        fair = np.flatnonzero(drawn) if drawn is not None else np.zeros(0, np.int64)
        found = _by_drawn(recipe, start, source, known, fair)
    if earlier is not None and start is not None and found.learnt_from == "pool":
        row = earlier.in_a_row + 1
        found = replace(found, in_a_row=row, reason=f"{found.reason}; went on from the version before ({row} in a row)")
    return _with_names(found, source, known)


def _with_names(found: Fit, pool: TrainingPool, known: LabeledItems) -> Fit:
    """With what the classes' names counted for in the reason, where they did."""
    if found.learnt_from != "pool" or pool.names is None:
        return found
    if are_sets(known.targets):
        return replace(found, reason=f"{found.reason}; the classes' names count as a label of each")
    counted = round(strength(pool.names, pool.labelled, known.targets, pool.prior))
    return replace(found, reason=f"{found.reason}; the classes' names count as {counted} labels of each")


def learns_from_pool(unlabelled: Unlabelled | None, open_items: int) -> bool:
    """Whether there is a pool that is embedded and large enough to learn from."""
    return unlabelled is not None and open_items >= FEWEST_OPEN


def fit(
    recipe: Recipe, known: LabeledItems, known_ids: Sequence[int], pool: OpenItems, *, earlier: Earlier | None = None
) -> Fit:
    """Fit to the labels and, where it can be learnt from, the pool: a round's fit, and the simulation's.

    Args, beside those of `fit_with_pool`:
        known_ids: task ids of the labelled items ``[L]``, which say what chance chose (`Unlabelled.drawn`).
        pool: what is open.

    Raises:
        ModelError: as from ``Model.fit``.
    """
    unlabelled = pool.unlabelled
    if unlabelled is None or not learns_from_pool(unlabelled, pool.count):
        model, report = fit_labels(recipe, known)
        if are_sets(known.targets):
            shares = set_rates(known.targets) if unlabelled is None else unlabelled.prior
            suit(model, [*known.items, *pool.read()], expected(shares, known.targets))
        return Fit(model, report, "labels", "")
    drawn = np.array([task in unlabelled.drawn for task in known_ids], dtype=np.bool_)
    return fit_with_pool(recipe, known, pool.read(), unlabelled, drawn=drawn, earlier=earlier)


def fit_labels(recipe: Recipe, known: LabeledItems) -> tuple[Model, TrainingReport]:
    """Fit to the labels alone, where there is no pool to learn from; arguments and errors as of `fit_with_pool`."""
    evaluation = recipe.evaluation
    told = evaluation if evaluation is not None and len(evaluation.items) >= FEWEST_EVALUATED else None
    trainer = recipe.fitter(1 if told is not None or recipe.make().learns_features else 1 + FOLDS)
    model, report = from_labels(trainer, known)
    if told is not None:
        calibrate(model, told)
    else:
        calibrate_across(trainer, model, known, report.hyperparameters.get("penalty"))
    trainer.stages.end()
    return model, report


def _by_evaluation(trainer: PoolFitter, pool: TrainingPool, known: LabeledItems, evaluation: LabeledItems) -> Fit:
    """The better one on the evaluation items, calibrated on them."""
    by_pool = from_pool(trainer, pool, pool.labelled, known.targets, _tuned(trainer, pool, known))
    by_labels = labels_rival(trainer, known, by_pool[0], evaluation, pool)
    scores = _score(by_pool[0], evaluation), _score(by_labels[0], evaluation)
    wins = scores[0] >= scores[1]
    model, report = by_pool if wins else by_labels
    calibrate(model, evaluation)
    trainer.stages.end()
    return _fit(model, report, wins, pool, f"on {len(evaluation.items):,} evaluation tasks", *scores)


def rival_trainings(make: Callable[[], Model]) -> int:
    """How many trainings the rival on evaluation items takes."""
    return 2 if make().learns_features else 1


def labels_rival(
    trainer: PoolFitter,
    known: LabeledItems,
    by_pool: Model,
    evaluation: LabeledItems,
    pool: TrainingPool | None = None,
) -> tuple[Model, TrainingReport]:
    """A model of the labels alone; where it learns its features, and is clearly behind after a short training, that."""
    if not by_pool.learns_features:
        return from_labels(trainer, known, pool)
    short = trainer.fit(known.items, known.targets, FOLD_STEPS)
    if pool is not None:
        pool.suit(short[0], known.targets, labels_alone=True)
    right = (equal_answers(_answers(model, evaluation), evaluation.targets) for model in (short[0], by_pool))
    if compare(*right, against="pool").p_value < CHANCE and _score(short[0], evaluation) < _score(by_pool, evaluation):
        trainer.stages.skip()
        return short
    return from_labels(trainer, known, pool)


def _by_drawn(
    recipe: Recipe, start: Model | None, pool: TrainingPool, known: LabeledItems, fair: NDArray[np.int64]
) -> Fit:
    """What is usually better, unless labels that chance drew clearly show otherwise."""
    make, labels = recipe.make, len(known.items) / len(pool.prior)
    told, learns = len(fair) >= FEWEST_DRAWN, make().learns_features
    stated = np.ptp(pool.prior) > 0 or are_sets(known.targets)
    guessed = not (learns or told or stated) and labels > TRUSTED_PER_CLASS
    folds = (cross_validations(make) if told else 0) + (0 if learns else FOLDS)
    trainer = recipe.fitter(folds + trainings(make, start) + guessed, start)
    by_labels = from_labels(trainer, known, pool) if guessed else None
    wins = by_labels is None or plausible(pool.prior, by_labels[0], pool.items)
    scores = np.nan, np.nan
    tuned = _tuned(trainer, pool, known) if told or wins else None
    if told:
        truth = known.targets[fair]
        pool_says, labels_say = (says[fair] for says in cross_validated(trainer, pool, known, tuned))
        scores = macro_f(truth, pool_says), macro_f(truth, labels_say)
        right = equal_answers(pool_says, truth), equal_answers(labels_say, truth)
        clear = compare(*right, against="labels").p_value < CHANCE
        wins = not (clear and scores[0] < scores[1]) if wins else clear and scores[0] > scores[1]
    if wins:
        fitted = from_pool(trainer, pool, pool.labelled, known.targets, tuned)
    else:
        fitted = by_labels or from_labels(trainer, known, pool)
        calibrate_across(trainer, fitted[0], known, fitted[1].hyperparameters.get("penalty"))
    trainer.stages.end()
    where = f"in {FOLDS}-fold cross-validation on {len(fair)} randomly drawn labels"
    return _fit(*fitted, wins, pool, where, *scores)


def _tuned(trainer: PoolFitter, pool: TrainingPool, known: LabeledItems) -> Tuned | None:
    return tune(trainer, pool, known) if isinstance(trainer.make(), LinearHead) else None


def _fit(
    model: Model, report: TrainingReport, wins: bool, pool: TrainingPool, where: str, of_pool: float, of_labels: float
) -> Fit:
    source = f"all {len(pool.items):,} {UNLABELLED_TOO}" if wins else "the labels alone"
    compared = () if np.isnan(of_pool) else (of_pool, of_labels)
    why = "too few evaluation tasks or randomly drawn labels to compare"
    if compared:
        why = (
            f"mean F-score of the classes {of_pool:.1%} from all tasks, {of_labels:.1%} from the labels alone, {where}"
        )
    return Fit(model, report, "pool" if wins else "labels", f"learnt from {source}: {why}", *compared)


def _score(model: Model, known: LabeledItems) -> float:
    return macro_f(known.targets, _answers(model, known))


def _answers(model: Model, known: LabeledItems) -> NDArray[np.int64]:
    return answers_of(model, model.probabilities(known.items)[:, 0])


def macro_f(targets: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Mean F-score of the classes: where one is rare, the accuracy of never naming it is high."""
    from sklearn.metrics import f1_score

    return float(f1_score(targets, answers, average="macro", zero_division=0))
