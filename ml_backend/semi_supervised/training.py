"""Train a model on few labels and many items without: labels spread over a graph, and the model learns from all items.

Axes: ``N`` items of the pool, ``L`` labelled ones among them, ``C`` classes.

1. The labels are spread over the neighbour graph of an embedding that needed none (`graph.label_probabilities`).
2. A model that learns its features is trained on all items with these probabilities, and the labels are spread once
   more over the graph of *its* embedding, which by then puts items of one class together. Then it is trained on the
   mean of both (after Iscen et al. 2019, https://arxiv.org/abs/1904.04717, who repeat this every epoch).
3. A classifier over a fixed encoder has no such embedding. It is trained once, on the likeliest class of each item,
   which counts by its probability.

The result is an ordinary model: what it was trained on does not matter to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import LabeledItems, Model, Targets, TrainingReport
from ml_backend.models.temperature import best_factor
from ml_backend.records import Progress, no_progress
from ml_backend.semi_supervised.class_names import label_probabilities_by_names, name_mass
from ml_backend.semi_supervised.graph import (
    NEIGHBOURS,
    Floats,
    Positions,
    affinity,
    label_mass,
    label_probabilities,
    nearest,
)
from ml_backend.semi_supervised.pool_embedding import Unlabelled

if TYPE_CHECKING:
    from scipy import sparse


DRAFT_STEPS: Final = 400
"""Training steps of the model whose embedding the labels are spread over again."""
BINDING: Final = 16.0
"""Power of beliefs before they are balanced, at which shares bind the likeliest classes."""
FOLDS: Final = 3
FOLD_STEPS: Final = 200


class Stages:
    """Progress of several trainings as one."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress, self._count, self._done = progress, count, 0

    def next(self) -> Progress:
        """What the next training is to report to."""
        before = self._done
        self._done += 1

        def report(done: int, total: int) -> None:
            whole = 1000 * self._count
            self._progress(min(round(1000 * (before + done / max(total, 1))), whole), whole)

        return report

    def skip(self) -> None:
        """A training that is not needed counts as done."""
        self.next()(1, 1)

    def end(self) -> None:
        """All are done: some that were counted were not needed."""
        self._progress(1000 * self._count, 1000 * self._count)


@dataclass(frozen=True)
class PoolFitter:
    """Trainings that differ only in what they learn from."""

    make: Callable[[], Model]
    seed: int
    hyperparameters: Mapping[str, Any] | None
    stages: Stages
    validation: LabeledItems | None = None
    """What whole trainings are watched on; nothing is learnt from it."""

    def fit(
        self, items: Sequence[Any], targets: Targets, most: int | None = None, *, weights: Floats | None = None
    ) -> tuple[Model, TrainingReport]:
        """A new model, trained for ``most`` steps at the most; ``weights`` say how much each item counts ``[N]``."""
        model, chosen = self.make(), dict(self.hyperparameters or {})
        more = {"weights": weights} if weights is not None and getattr(model, "weighs_items", False) else {}
        if most is not None and "steps" in model.hyperparameters():
            chosen["steps"] = min(int(chosen.get("steps") or most), most)
        report = model.fit(
            items,
            targets,
            seed=self.seed,
            hyperparameters=chosen,
            validation=self.validation if most is None else None,
            progress=self.stages.next(),
            **more,
        )
        return model, report

    def quiet(self) -> PoolFitter:
        """The same, without any progress."""
        return replace(self, stages=Stages(no_progress, 1))

    def penalised(self, penalty: float) -> PoolFitter:
        """With this penalty, where the model would choose one itself and none is set."""
        given = dict(self.hyperparameters or {})
        if self.make().hyperparameters().get("penalty", penalty) is not None or given.get("penalty") is not None:
            return self
        return replace(self, hyperparameters=given | {"penalty": penalty})


@dataclass(frozen=True)
class TrainingPool:
    """Items that are learnt from, labelled ones among them."""

    items: Sequence[Any]
    """One for each node of the graph ``[N]``."""
    weights: sparse.csr_matrix
    """`affinity` ``[N, N]``."""
    prior: NDArray[np.float64]
    """Expected share of each class ``[C]``."""
    labelled: Positions
    """Node of each labelled item ``[L]``."""
    names: Floats | None = None
    """`class_names.name_mass` ``[N, C]``; None where the classes' names are not used."""

    @property
    def classes(self) -> int:
        """C."""
        return len(self.prior)

    @classmethod
    def of(cls, items: Sequence[Any], known: LabeledItems, unlabelled: Unlabelled) -> Self:
        """Of these items and the labelled ones, which may be among them."""
        both = [*known.items, *items]
        embedding = unlabelled.embedding.extended(both)
        places = embedding.places(both)
        nodes, first = np.unique(places, return_index=True)
        weights, names = embedding.weights[nodes][:, nodes], unlabelled.names
        return cls(
            [both[i] for i in first.tolist()],
            weights,
            unlabelled.prior,
            np.searchsorted(nodes, places[: len(known.items)]),
            None if names is None else name_mass(weights, embedding.rows[nodes], names),
        )

    def label_probabilities(
        self, labelled: Positions, targets: Positions, weights: sparse.csr_matrix | None = None, power: float = 1.0
    ) -> Floats:
        """Beliefs about all items ``[N, C]``, by the pool's own graph or another; ``power`` as of the graph's."""
        mass = label_mass(self.weights if weights is None else weights, labelled, targets, len(self.prior))
        if self.names is not None:
            return label_probabilities_by_names(mass, self.names, labelled, targets, self.prior, power)
        return label_probabilities(mass, labelled, targets, self.prior, power)


@dataclass(frozen=True)
class Tuned:
    """What labels left out say of a classifier over a fixed encoder that learns from the pool."""

    penalty: float
    factor: float
    """What all its logits are multiplied by, see `temperature.best_factor`."""


def class_beliefs(pool: TrainingPool, labelled: Positions, targets: Positions) -> Floats:
    """What a classifier over a fixed encoder learns from ``[N, C]``, each row's likeliest class.

    Shares of the classes that somebody stated, or drawn labels showed, hold for the likeliest classes. Equal shares are
    a mere assumption, and bind loosely.
    """
    return pool.label_probabilities(labelled, targets, power=BINDING if np.ptp(pool.prior) > 0 else 1.0)


def trainings(make: Callable[[], Model]) -> int:
    """How many trainings `from_pool` takes."""
    return 2 if make().learns_features else 1


def from_pool(
    trainer: PoolFitter, pool: TrainingPool, labelled: Positions, targets: Positions, tuned: Tuned | None = None
) -> tuple[Model, TrainingReport]:
    """A model of the pool and some labels; calibrated as well as may be, until somebody has something better.

    ``tuned`` is what labels left out say of a classifier over a fixed encoder (`tuning.tune`).
    """
    if trainer.make().learns_features:
        return _spread_again(trainer, pool, pool.label_probabilities(labelled, targets), labelled, targets)
    beliefs = class_beliefs(pool, labelled, targets)
    model, report = spread_once(trainer.penalised(tuned.penalty) if tuned else trainer, pool.items, beliefs)
    if tuned:
        model.sharpen(tuned.factor)
    return model, report


def _spread_again(
    trainer: PoolFitter, pool: TrainingPool, beliefs: Floats, labelled: Positions, targets: Positions
) -> tuple[Model, TrainingReport]:
    draft, _ = trainer.fit(pool.items, beliefs, DRAFT_STEPS)
    rows = draft.embed(pool.items)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    again = pool.label_probabilities(labelled, targets, affinity(nearest([rows], rows, NEIGHBOURS + 1)))
    mean = np.asarray((beliefs + again) / 2, dtype=np.float32)
    model, report = trainer.fit(pool.items, mean)
    # Trained on soft labels it would say "one in three" of what it has right nineteen times in twenty.
    calibrate(model, LabeledItems(pool.items, mean.argmax(axis=1)))
    return model, report


def spread_once(trainer: PoolFitter, items: Sequence[Any], beliefs: Floats) -> tuple[Model, TrainingReport]:
    """Each item has its likeliest class, and counts by how likely that is ``[N, C]``.

    Beliefs themselves as targets would teach the classifier to waver wherever the graph does; a class moves its border
    to where few items are.
    """
    return trainer.fit(items, beliefs.argmax(axis=1), weights=beliefs.max(axis=1))


def from_labels(trainer: PoolFitter, known: LabeledItems) -> tuple[Model, TrainingReport]:
    """The rival: a model of the labels alone."""
    return trainer.fit(known.items, known.targets)


def cross_validated(
    trainer: PoolFitter, pool: TrainingPool, known: LabeledItems, tuned: Tuned | None = None
) -> tuple[Positions, Positions]:
    """What learning from the pool says of labels left out, and what a model of the labels alone ``[L]``.

    For a model that learns its features, the spread labels stand for learning from the pool: it improves on them, so
    that the comparison is rather hard on it. Trainings are short.
    """
    order = np.random.default_rng([trainer.seed, 9]).permutation(len(known.items))
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    pool_says, labels_say = np.empty_like(fold), np.empty_like(fold)
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        left_out = [known.items[i] for i in test]
        labelled, targets = pool.labelled[train], known.targets[train]
        if trainer.make().learns_features:
            beliefs = pool.label_probabilities(labelled, targets)[pool.labelled[test]]
        else:
            beliefs = from_pool(trainer, pool, labelled, targets, tuned)[0].probabilities(left_out)[:, 0]
        pool_says[test] = beliefs.argmax(axis=1)
        model, _ = trainer.fit([known.items[i] for i in train], targets, FOLD_STEPS)
        labels_say[test] = model.probabilities(left_out)[:, 0].argmax(axis=1)
    return pool_says, labels_say


def cross_validations(make: Callable[[], Model]) -> int:
    """How many trainings `cross_validated` takes."""
    return FOLDS * (1 if make().learns_features else 2)


def calibrate(model: Model, known: LabeledItems) -> float:
    """Set the model's temperature to what makes the known labels most likely; the temperature."""
    factor, _ = best_factor(log_probabilities(model.probabilities(known.items)[:, 0]), known.targets)
    model.sharpen(factor)
    return 1.0 / factor


def calibrate_across(trainer: PoolFitter, model: Model, known: LabeledItems, penalty: float | None) -> None:
    """The same without other labels than those it was trained on: by what short trainings say of labels left out.

    They have the model's ``penalty``: another would give logits of another size.

    Only for a classifier over a fixed encoder, which is trained in a moment, and with `FOLDS` labels of each class or
    more. Its weights are kept small, so that it is right far more often than it says. After scikit-learn's
    ``CalibratedClassifierCV(ensemble=False)``.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(known.targets)
    if model.learns_features or counts[counts > 0].min() < FOLDS:
        return
    if penalty is not None:
        trainer = trainer.penalised(penalty)
    found = np.empty((len(known.items), len(trainer.make().labels)), np.float32)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=trainer.seed).split(found, known.targets):
        fold, _ = trainer.fit([known.items[i] for i in train], known.targets[train], FOLD_STEPS)
        found[test] = fold.probabilities([known.items[i] for i in test])[:, 0]
    model.sharpen(best_factor(log_probabilities(found), known.targets)[0])


def log_probabilities(probabilities: Floats) -> Floats:
    """Of each class ``[N, C]``; none is minus infinity."""
    return np.asarray(np.log(np.maximum(probabilities, 1e-12)), dtype=np.float32)
