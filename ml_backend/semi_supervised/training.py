"""Train a model on few labels and many items without: labels spread over a graph, and the model learns from all items.

Axes: ``N`` items of the pool, ``L`` labelled ones among them, ``C`` classes.

1. The labels are spread over the neighbour graph of an embedding that needed none (`graph.label_probabilities`).
2. A model that learns its features is trained on all items with these probabilities, and the labels are spread once
   more over the graph of *its* embedding, which by then puts items of one class together. Then it is trained on the
   mean of both (after Iscen et al. 2019, https://arxiv.org/abs/1904.04717, who repeat this every epoch). A version
   before that it can go on from (`earlier`) has such an embedding already, and needs fewer steps.
3. A classifier over a fixed encoder has no such embedding. It is trained once, on the likeliest class of each item,
   which counts by its probability.

The result is an ordinary model: what it was trained on does not matter to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import LabeledItems, Model, TrainingReport
from ml_backend.models.several import HALF, answers_of, are_sets
from ml_backend.semi_supervised.calibration import FOLD_STEPS, FOLDS, calibrate
from ml_backend.semi_supervised.class_names import label_probabilities_by_names, name_mass
from ml_backend.semi_supervised.fitter import PoolFitter
from ml_backend.semi_supervised.graph import (
    NEIGHBOURS,
    Floats,
    Positions,
    affinity,
    label_mass,
    label_probabilities,
    nearest,
)
from ml_backend.semi_supervised.pool_embedding import PoolEmbedding, Unlabelled
from ml_backend.semi_supervised.set_spreading import (
    balanced_by_class,
    expected,
    set_mass,
    set_name_mass,
    set_probabilities,
)
from ml_backend.semi_supervised.thresholds import expected_thresholds, suit

if TYPE_CHECKING:
    from scipy import sparse

    from ml_backend.models.main_directions import Near


DRAFT_STEPS: Final = 400
"""Training steps of the model whose embedding the labels are spread over again."""
BINDING: Final = 16.0
"""Power of beliefs before they are balanced, at which shares bind the likeliest classes."""
MEAN_BINDING: Final = 2.0
"""The same of the mean of two beliefs that are bound already."""
LABEL_WEIGHT: Final = 3.0
"""How much a label counts beside a belief, where answers are sets."""


@dataclass(frozen=True)
class TrainingPool:
    """Items that are learnt from, labelled ones among them."""

    items: Sequence[Any]
    """One for each node of the graph ``[N]``."""
    weights: sparse.csr_matrix
    """`affinity` ``[N, N]``."""
    prior: NDArray[np.float64]
    """Expected share of each class ``[C]``; of sets the share of the items that have it."""
    labelled: Positions
    """Node of each labelled item ``[L]``."""
    names: Floats | None = None
    """`class_names.name_mass` ``[N, C]``, of sets `set_name_mass` ``[2, N, C]``; None where names are not used."""

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
        weights = embedding.weights[nodes][:, nodes]
        return cls(
            [both[i] for i in first.tolist()],
            weights,
            unlabelled.prior,
            np.searchsorted(nodes, places[: len(known.items)]),
            _names(weights, embedding, nodes, unlabelled, sets=are_sets(known.targets)),
        )

    def label_probabilities(
        self, labelled: Positions, targets: Positions, weights: sparse.csr_matrix | None = None, power: float = 1.0
    ) -> Floats:
        """Beliefs about all items ``[N, C]``, by the pool's own graph or another; ``power`` as of the graph's."""
        graph = self.weights if weights is None else weights
        if are_sets(targets):
            arrived = set_mass(graph, labelled, targets)
            return set_probabilities(arrived, labelled, targets, self.prior, power, self.names)
        mass = label_mass(graph, labelled, targets, len(self.prior))
        if self.names is not None:
            return label_probabilities_by_names(mass, self.names, labelled, targets, self.prior, power)
        return label_probabilities(mass, labelled, targets, self.prior, power)

    def rates(self, sets: Positions) -> Floats:
        """Expected shares of the items that have each class, by labels that are sets ``[C]``, see `expected`."""
        return expected(self.prior, sets, named=self.names is not None)

    def suit(self, model: Model, targets: Positions, *, labels_alone: bool = False) -> None:
        """Give a model of these sets the thresholds that its answers about the pool make best, see `thresholds`.

        A model of the labels alone knows nothing of a class without one: it is in no set, whatever it is called.
        """
        if are_sets(targets):
            suit(model, self.items, expected(self.prior, targets) if labels_alone else self.rates(targets))


def _names(
    weights: sparse.csr_matrix, embedding: PoolEmbedding, nodes: Positions, unlabelled: Unlabelled, *, sets: bool
) -> Floats | None:
    """What the names say of some nodes of the embedding; without names no vector is looked at."""
    if unlabelled.names is None:
        return None
    rows = embedding.rows if len(nodes) == len(embedding) else embedding.rows[nodes]
    return (
        set_name_mass(weights, rows, unlabelled.names, unlabelled.prior)
        if sets
        else name_mass(weights, rows, unlabelled.names)
    )


@dataclass(frozen=True)
class Tuned:
    """What labels left out say of a classifier over a fixed encoder that learns from the pool."""

    penalty: float
    factor: float
    """What all its logits are multiplied by, see `temperature.best_factor`."""
    near: Near | None = None
    """What the trials tell of the weights that it will have."""


def class_beliefs(pool: TrainingPool, labelled: Positions, targets: Positions) -> Floats:
    """What a classifier over a fixed encoder learns from ``[N, C]``, each row's likeliest class.

    Shares of the classes that somebody stated, or drawn labels showed, hold for the likeliest classes. Equal shares are
    a mere assumption, and bind loosely.
    """
    return pool.label_probabilities(labelled, targets, power=BINDING if np.ptp(pool.prior) > 0 else 1.0)


def set_beliefs(trainer: PoolFitter, pool: TrainingPool, labelled: Positions, targets: Positions) -> Floats:
    """What a classifier of sets over a fixed encoder learns from ``[N, C]``: the graph's beliefs and a model's, as one.

    The model is one of the labels alone. With few labels the graph knows more, with many the model does; they err
    elsewhere, so that their mean is better than either. Each is bound to the classes' rates before, and the mean once
    more: else a class that both are unsure of would be in no set.
    """
    rates = pool.rates(targets)
    spread = pool.label_probabilities(labelled, targets, power=BINDING)
    model, _ = trainer.fit([pool.items[i] for i in labelled], targets, FOLD_STEPS)
    says = balanced_by_class(model.probabilities(pool.items)[:, 0], rates, BINDING)
    says = np.where(targets.any(axis=0), says, spread)  # of a class without a label it knows nothing
    both = balanced_by_class(np.asarray((spread + says) / 2, dtype=np.float32), rates, MEAN_BINDING)
    both[labelled] = targets
    return both


def trainings(make: Callable[[], Model], start: Model | None = None) -> int:
    """How many trainings `from_pool` takes."""
    return 2 if start is None and make().learns_features else 1


def from_pool(
    trainer: PoolFitter, pool: TrainingPool, labelled: Positions, targets: Positions, tuned: Tuned | None = None
) -> tuple[Model, TrainingReport]:
    """A model of the pool and some labels; calibrated as well as may be, until somebody has something better.

    ``tuned`` is what labels left out say of a classifier over a fixed encoder (`tuning.tune`).
    """
    if trainer.make().learns_features:
        beliefs = pool.label_probabilities(labelled, targets)
        model, report = _spread_again(trainer, pool, beliefs, labelled, targets)
    else:
        near = tuned.near if tuned else None
        trainer = trainer.penalised(tuned.penalty) if tuned else trainer
        model, report = _learnt_once(trainer, pool, labelled, targets, near)
        if tuned:
            model.sharpen(tuned.factor)
    pool.suit(model, targets)
    return model, report


def _learnt_once(
    trainer: PoolFitter, pool: TrainingPool, labelled: Positions, targets: Positions, near: Near | None
) -> tuple[Model, TrainingReport]:
    if not are_sets(targets):
        return spread_once(trainer, pool.items, class_beliefs(pool, labelled, targets), near)
    hard, weights = likeliest(set_beliefs(trainer, pool, labelled, targets), sets=True)
    weights[labelled] *= LABEL_WEIGHT
    return trainer.fit(pool.items, hard, weights=weights, near=near)


def _spread_again(
    trainer: PoolFitter, pool: TrainingPool, beliefs: Floats, labelled: Positions, targets: Positions
) -> tuple[Model, TrainingReport]:
    seen = trainer.start or trainer.fit(pool.items, beliefs, DRAFT_STEPS)[0]
    rows = seen.embed(pool.items)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    again = pool.label_probabilities(labelled, targets, affinity(nearest([rows], rows, NEIGHBOURS + 1)))
    mean = np.asarray((beliefs + again) / 2, dtype=np.float32)
    model, report = trainer.go_on(pool.items, mean)
    # Trained on soft labels it would say "one in three" of what it has right nineteen times in twenty.
    calibrate(model, LabeledItems(pool.items, likeliest(mean, sets=are_sets(targets))[0]))
    return model, report


def likeliest(beliefs: Floats, *, sets: bool) -> tuple[NDArray[np.int64], Floats]:
    """The likeliest class of each item ``[N]`` and how likely it is; of sets both of each class ``[N, C]``."""
    if sets:
        return (beliefs >= HALF).astype(np.int64), np.maximum(beliefs, 1 - beliefs)
    return beliefs.argmax(axis=1), beliefs.max(axis=1)


def spread_once(
    trainer: PoolFitter, items: Sequence[Any], beliefs: Floats, near: Near | None = None
) -> tuple[Model, TrainingReport]:
    """Each item has its likeliest class, and counts by how likely that is ``[N, C]``.

    Beliefs themselves as targets would teach the classifier to waver wherever the graph does; a class moves its border
    to where few items are.
    """
    targets, weights = likeliest(beliefs, sets=False)
    return trainer.fit(items, targets, weights=weights, near=near)


def from_labels(
    trainer: PoolFitter, known: LabeledItems, pool: TrainingPool | None = None
) -> tuple[Model, TrainingReport]:
    """The rival: a model of the labels alone; of the pool it knows at the most from where a class is in a set."""
    model, report = trainer.fit(known.items, known.targets)
    if pool is not None:
        pool.suit(model, known.targets, labels_alone=True)
    return model, report


def cross_validated(
    trainer: PoolFitter, pool: TrainingPool, known: LabeledItems, tuned: Tuned | None = None
) -> tuple[Positions, Positions]:
    """What learning from the pool says of labels left out, and what a model of the labels alone ``[L]``, or sets.

    For a model that learns its features, the spread labels stand for learning from the pool: it improves on them, so
    that the comparison is rather hard on it. Trainings are short.
    """
    order = np.random.default_rng([trainer.seed, 9]).permutation(len(known.items))
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    pool_says, labels_say = np.empty_like(known.targets), np.empty_like(known.targets)
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        left_out = [known.items[i] for i in test]
        labelled, targets = pool.labelled[train], known.targets[train]
        if trainer.make().learns_features:
            beliefs = pool.label_probabilities(labelled, targets)
            pool_says[test] = _likeliest_at_rates(beliefs, pool, targets)[pool.labelled[test]]
        else:
            # The trials learnt from labels that are left out here: from their mean nothing may begin.
            model, _ = from_pool(trainer, pool, labelled, targets, tuned and replace(tuned, near=None))
            pool_says[test] = answers_of(model, model.probabilities(left_out)[:, 0])
        model, _ = trainer.fit([known.items[i] for i in train], targets, FOLD_STEPS)
        pool.suit(model, targets, labels_alone=True)
        labels_say[test] = answers_of(model, model.probabilities(left_out)[:, 0])
    return pool_says, labels_say


def _likeliest_at_rates(beliefs: Floats, pool: TrainingPool, targets: Positions) -> Positions:
    """The likeliest class of each item ``[N]``; of sets the classes at `expected_thresholds` ``[N, C]``."""
    if not are_sets(targets):
        return likeliest(beliefs, sets=False)[0]
    return np.asarray(beliefs >= expected_thresholds(beliefs, pool.rates(targets)), dtype=np.int64)


def cross_validations(make: Callable[[], Model]) -> int:
    """How many trainings `cross_validated` takes."""
    return FOLDS * (1 if make().learns_features else 2)
