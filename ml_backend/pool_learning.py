"""Fit a model to few labels and many items without: labels spread over a graph, and the model learns from all items.

Axes: ``N`` items of the pool, ``L`` labelled ones among them, ``V`` evaluation items, ``C`` classes.

1. The labels are spread over the neighbour graph of an embedding that needed none (`graph.spread`).
2. The model is trained on all items with these probabilities, and the labels are spread once more over the graph of
   *its* embedding, which by then puts items of one class together.
3. The model is trained on the mean of both. It is an ordinary model: what it was trained on does not matter to others.

After Iscen et al. 2019, https://arxiv.org/abs/1904.04717, who repeat step 2 every epoch.

A model of the labels alone is the rival: whichever does better on the evaluation items is used. Without any, the
labels alone are used where cross-validation shows that they do better on labels that chance drew. Labels that a
strategy asked for do not count: it asks where the graph is in doubt, so the graph looks far worse on them than it is
(on digits a model of 71 % accuracy was taken for better than one of 99 %).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import chisquare
from sklearn.metrics import f1_score

from ml_backend.embeddings import PoolEmbedding
from ml_backend.graph import NEIGHBOURS, Floats, Positions, affinity, label_mass, nearest, spread
from ml_backend.models.base import Known, Model, Progress, TrainingReport, no_progress
from ml_backend.promotion import CHANCE, compare
from ml_backend.situation import Unlabelled

DRAFT_STEPS: Final = 400
"""Training steps of the model whose embedding the labels are spread over in step 2."""
FOLDS: Final = 3
FOLD_STEPS: Final = 200
FEWEST_OPEN: Final = 200
"""Open items below which they teach a model nothing worth the longer training."""
ENOUGH_PER_CLASS: Final = 10
"""Labels a class above which a classifier over a fixed encoder learns from them alone, unless the pool clearly does
better: on AG News titles the pool leads by 17 points at 10 labels, by 5 at 40, and costs 2 at 200; with a rare class
(95 headlines) it finds nothing of it. A model that learns its features goes on gaining."""
FEWEST_EVALUATED: Final = 30
"""Evaluation items below which cross-validation decides."""
FEWEST_DRAWN: Final = 20
"""Randomly drawn labels below which nothing can be told from them: the pool is used."""
CONTRADICTED: Final = 0.01
"""Equal shares of the classes are given up where random labels would be so unlikely under them."""


@dataclass(frozen=True)
class Fit:
    """A model, and what it learnt from."""

    model: Model
    training: TrainingReport
    learnt_from: str
    """``pool``, or ``labels``."""
    reason: str
    """Why, in a sentence."""
    pool_score: float | None = None
    """`macro_f` of learning from the pool, where it was measured."""
    labels_score: float | None = None
    """`macro_f` of learning from the labels alone, likewise."""


def class_prior(classes: int, random_targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Expected share of each class ``[C]``: equal, unless labels of randomly drawn items contradict it.

    Then their shares, each class counted once more (Laplace). The test is Pearson's chi-square.
    """
    counts = np.bincount(random_targets, minlength=classes).astype(np.float64)
    if counts.sum() < 2 * classes or chisquare(counts).pvalue > CONTRADICTED:
        return np.full(classes, 1.0 / classes)
    return np.asarray((counts + 1.0) / (counts.sum() + classes))


def fit_with_pool(
    make: Callable[[], Model],
    known: Known,
    items: Sequence[Any],
    unlabelled: Unlabelled,
    *,
    seed: int,
    drawn: NDArray[np.bool_] | None = None,
    evaluation: Known | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Fit:
    """Fit to labels and pool, or to labels alone where that does better.

    Args:
        make: a new model.
        known: the labelled items.
        items: the pool, labelled items included or not.
        unlabelled: an embedding of all of them, and the classes' shares.
        seed: of all trainings.
        drawn: which labelled items chance chose ``[L]``; None: none of them.
        evaluation: evaluation items, to choose by, to calibrate on and to take the validation loss of.
        hyperparameters: of the model.
        progress: called as the trainings go on.

    Raises:
        ModelError: as from ``Model.fit``.
    """
    embedding = unlabelled.embedding.extended([*known.items, *items])
    if evaluation is not None and len(evaluation.items) >= FEWEST_EVALUATED:
        stages = _Stages(progress, 3)
        pool, pool_report = _from_pool(
            make, known, items, embedding, unlabelled.prior, seed, hyperparameters, stages, evaluation
        )
        labels, labels_report = _from_labels(make, known, seed, hyperparameters, stages, evaluation)
        of_pool, of_labels = _score(pool, evaluation), _score(labels, evaluation)
        where = f"on {len(evaluation.items)} evaluation tasks"
        wins = of_pool >= of_labels
        model, report = (pool, pool_report) if wins else (labels, labels_report)
        calibrate(model, evaluation)
    else:
        fair = np.flatnonzero(drawn) if drawn is not None else np.zeros(0, np.int64)
        told = len(fair) >= FEWEST_DRAWN
        stages = _Stages(progress, FOLDS + 2 if told else 2)
        of_pool, of_labels = np.nan, np.nan
        wins = make().learns_features or len(known.items) <= ENOUGH_PER_CLASS * len(unlabelled.prior)
        if told:
            by_spread, by_model = cross_validated(
                make, known, embedding, unlabelled.prior, seed, hyperparameters, stages
            )
            truth = known.targets[fair]
            of_pool, of_labels = macro_f(truth, by_spread[fair]), macro_f(truth, by_model[fair])
            clear = compare(by_spread[fair] == truth, by_model[fair] == truth, against="labels").p_value < CHANCE
            wins = not (clear and of_pool < of_labels) if wins else clear and of_pool > of_labels
        where = f"in {FOLDS}-fold cross-validation on {len(fair)} randomly drawn labels"
        if wins:
            model, report = _from_pool(
                make, known, items, embedding, unlabelled.prior, seed, hyperparameters, stages, evaluation
            )
        else:
            model, report = _from_labels(make, known, seed, hyperparameters, stages, evaluation)
    source = f"the {len(items)} items of the pool" if wins else "the labels alone"
    if np.isnan(of_pool):
        why = "too few evaluation tasks or randomly drawn labels to compare"
        return Fit(model, report, "pool" if wins else "labels", f"learnt from {source}: {why}")
    why = f"macro F {of_pool:.3f} {where}, the labels alone {of_labels:.3f}"
    return Fit(model, report, "pool" if wins else "labels", f"learnt from {source}: {why}", of_pool, of_labels)


def _from_pool(
    make: Callable[[], Model],
    known: Known,
    items: Sequence[Any],
    embedding: PoolEmbedding,
    prior: NDArray[np.float64],
    seed: int,
    hyperparameters: Mapping[str, Any] | None,
    stages: _Stages,
    evaluation: Known | None,
) -> tuple[Model, TrainingReport]:
    """The three steps; calibrated on what the spread labels say of the pool, until somebody has something better."""
    nodes = np.unique(np.concatenate([embedding.places(items), embedding.places(known.items)]))
    everything = _items_at(nodes, [*items, *known.items], embedding)
    labelled = np.searchsorted(nodes, embedding.places(known.items))
    beliefs = _spread_over(embedding.weights[nodes][:, nodes], labelled, known.targets, prior)
    draft = make()
    draft.fit(
        everything,
        beliefs,
        seed=seed,
        hyperparameters=_steps(draft, hyperparameters, DRAFT_STEPS),
        progress=stages.next(),
    )
    rows = draft.embed(everything)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    again = _spread_over(affinity(nearest([rows], rows, NEIGHBOURS + 1)), labelled, known.targets, prior)
    model, mean = make(), np.asarray((beliefs + again) / 2, dtype=np.float32)
    report = model.fit(
        everything,
        mean,
        seed=seed,
        hyperparameters=hyperparameters,
        validation=evaluation,
        progress=stages.next(),
    )
    # Trained on soft labels it would say "one in three" of what it has right nineteen times in twenty.
    calibrate(model, Known(everything, mean.argmax(axis=1)))
    return model, report


def _from_labels(
    make: Callable[[], Model],
    known: Known,
    seed: int,
    hyperparameters: Mapping[str, Any] | None,
    stages: _Stages,
    evaluation: Known | None,
) -> tuple[Model, TrainingReport]:
    model = make()
    report = model.fit(
        known.items,
        known.targets,
        seed=seed,
        hyperparameters=hyperparameters,
        validation=evaluation,
        progress=stages.next(),
    )
    return model, report


def cross_validated(
    make: Callable[[], Model],
    known: Known,
    embedding: PoolEmbedding,
    prior: NDArray[np.float64],
    seed: int,
    hyperparameters: Mapping[str, Any] | None,
    stages: _Stages,
) -> tuple[Positions, Positions]:
    """What the labels spread over the graph say of labels left out, and what a model of the labels alone ``[L]``.

    The spread labels stand for learning from the pool, whose model improves on them: the comparison is rather hard on
    it. Models are trained for 200 steps.
    """
    order = np.random.default_rng([seed, 9]).permutation(len(known.items))
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    places = embedding.places(known.items)
    spread_says, model_says = np.empty_like(fold), np.empty_like(fold)
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        beliefs = _spread_over(embedding.weights, places[train], known.targets[train], prior)
        spread_says[test] = beliefs[places[test]].argmax(axis=1)
        model = make()
        model.fit(
            [known.items[i] for i in train],
            known.targets[train],
            seed=seed,
            hyperparameters=_steps(model, hyperparameters, FOLD_STEPS),
            progress=stages.next(),
        )
        model_says[test] = model.probabilities([known.items[i] for i in test])[:, 0].argmax(axis=1)
    return spread_says, model_says


def calibrate(model: Model, known: Known) -> float:
    """Set the model's temperature to what makes the known labels most likely; the temperature.

    One number for all classes (Guo et al. 2017, https://arxiv.org/abs/1706.04599): no answer changes.
    """
    logits = np.log(np.maximum(model.probabilities(known.items)[:, 0].astype(np.float64), 1e-12))  # [V, C]
    rows = np.arange(len(logits))

    def nll(log_factor: float) -> float:
        scaled = logits * np.exp(log_factor)
        top = scaled.max(axis=1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[rows, known.targets]).mean())

    found = minimize_scalar(nll, bounds=(-2.0, 2.0), method="bounded")
    factor = float(np.exp(found.x))
    model.sharpen(factor)
    return 1.0 / factor


def _spread_over(weights: Any, labelled: Positions, targets: Positions, prior: NDArray[np.float64]) -> Floats:
    return spread(label_mass(weights, labelled, targets, len(prior)), labelled, targets, prior)


def _items_at(nodes: Positions, items: Sequence[Any], embedding: PoolEmbedding) -> list[Any]:
    """One item for each node."""
    first = dict(zip(embedding.places(items).tolist(), items, strict=True))
    return [first[node] for node in nodes.tolist()]


def _steps(model: Model, given: Mapping[str, Any] | None, steps: int) -> dict[str, Any]:
    """Hyperparameters for a shorter training."""
    chosen = dict(given or {})
    if "steps" in model.hyperparameters():
        chosen["steps"] = min(int(chosen.get("steps") or steps), steps)
    return chosen


def _score(model: Model, known: Known) -> float:
    return macro_f(known.targets, model.probabilities(known.items)[:, 0].argmax(axis=1))


def macro_f(targets: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Mean F-score of the classes: where one is rare, the accuracy of never naming it is high."""
    return float(f1_score(targets, answers, average="macro", zero_division=0))


class _Stages:
    """Progress of several trainings as one."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress, self._count, self._done = progress, count, 0

    def next(self) -> Progress:
        """What the next training is to report to."""
        before = self._done
        self._done += 1

        def report(done: int, total: int) -> None:
            self._progress(round(1000 * (before + done / max(total, 1))), 1000 * self._count)

        return report
