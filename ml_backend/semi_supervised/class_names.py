"""What the classes are called, as a prior of their labels: embedded like the items, and spread over the same graph.

Axes: ``N`` items, ``D`` embedding dimensions, ``C`` classes, ``L`` labels.

A class's description stands for some labels of it that nobody gave. How many it counts as depends on the labels that
there are: on how far beyond chance the descriptions alone guess them. A name that says nothing counts for nothing.
Classification by an encoder of texts and a name: Yin, Hay & Roth 2019, https://arxiv.org/abs/1909.00161.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.semi_supervised.graph import (
    BLOCK,
    Floats,
    Positions,
    Vectors,
    balanced,
    label_probabilities,
    propagate,
)

if TYPE_CHECKING:
    from scipy import sparse

    from ml_backend.encoders.base import Encoder, Rows

Prior = NDArray[np.floating]

SCALE: Final = 20.0
"""Of cosines as logits: what sentence encoders are trained with (Reimers & Gurevych 2019, their ranking loss)."""
STRENGTH: Final = 20.0
"""Labels of each class that descriptions count as which guess all labels right."""

EMPTY: Final = 5
"""Labels for each class, after which a class without any is taken to have no items."""


def embedded(encoder: Encoder, descriptions: Sequence[str]) -> Rows | None:
    """Vectors of the classes' descriptions ``[C, D]``; None of an encoder that reads no texts."""
    return encoder.embed(descriptions) if encoder.object_tag == "Text" else None


def name_mass(weights: sparse.csr_matrix, rows: Vectors, names: Rows) -> Floats:
    """`propagate` of one label of each class, shared by all items as they are like its description ``[N, C]``.

    ``p = softmax(20 cos(x - m, c - m))``, ``m`` the mean item; each class's column is made to sum to 1.

    Args:
        weights: `affinity` ``[N, N]``.
        rows: the items' vectors ``[N, D]``.
        names: those of the classes' descriptions ``[C, D]``, by the same encoder.
    """
    logits = likeness(rows, names)
    alike = np.exp(logits - logits.max(axis=1, keepdims=True))
    alike /= alike.sum(axis=1, keepdims=True)
    return propagate(weights, np.asarray(alike / np.maximum(alike.sum(axis=0), 1e-12), dtype=np.float32))


def likeness(rows: Vectors, names: Rows) -> Floats:
    """How like each item is to each description, ``20 cos(x - m, c - m)`` ``[N, C]``, ``m`` the mean item.

    A block of items at a time: each copy of a large pool's vectors is some hundred megabytes.
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    found, centred = np.empty((len(rows), len(names)), np.float32), _unit(names - mean).T
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        found[block] = SCALE * (_unit(rows[block] - mean) @ centred)
    return found


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def strength(mass: Floats, labelled: Positions, targets: Positions, prior: Prior) -> float:
    """How many labels of each class the descriptions count as: ``20 max(0, (r - 1/C) / (1 - 1/C))``.

    ``r``: mean over the classes that have labels of ``(right + 1) / (labels + C)``, the share that descriptions alone
    guess right, by Laplace's rule; without labels it is chance.

    Args:
        mass: `name_mass` ``[N, C]``.
        labelled: positions of the labelled items ``[L]``.
        targets: their classes ``[L]``.
        prior: expected share of each class ``[C]``.
    """
    if not len(targets):
        return 0.0
    right = _rows(mass, prior)[labelled].argmax(axis=1) == targets
    counts = np.bincount(targets, minlength=len(prior))
    hits = np.bincount(targets, weights=right, minlength=len(prior))
    chance = 1.0 / len(prior)
    share = float(((hits + 1) / (counts + len(prior)))[counts > 0].mean())
    return STRENGTH * max(0.0, (share - chance) / (1.0 - chance))


def label_probabilities_by_names(
    mass: Floats, names: Floats, labelled: Positions, targets: Positions, prior: Prior, power: float = 1.0
) -> Floats:
    """`graph.label_probabilities`, with the descriptions counted as some labels of each class ``[N, C]``.

    ``F_c = (labels' mass_c + s names_c) / (n_c + s)``, ``s`` the `strength`, ``n_c`` the labels of the class: what the
    descriptions say falls as labels come. A class without a label gets its share by its description alone, until
    `EMPTY` labels for each class have been given, none of them to it.

    Args:
        mass: `graph.label_mass` ``[N, C]``.
        names: `name_mass` ``[N, C]``.
        labelled: positions of the labelled items ``[L]``.
        targets: their classes ``[L]``.
        prior: expected share of each class ``[C]``.
        power: as of `graph.label_probabilities`.
    """
    counted = strength(names, labelled, targets, prior)
    if counted <= 0:
        return label_probabilities(mass, labelled, targets, prior, power)
    counts = np.bincount(targets, minlength=len(prior))
    expected = (counts > 0) | (len(targets) < EMPTY * len(prior))
    shares = np.where(expected, prior, 0.0)
    rows = _rows((mass + counted * names) / (counts + counted), shares / shares.sum(), power)
    rows[labelled] = 0.0
    rows[labelled, targets] = 1.0
    return rows


def _rows(mass: Floats, shares: Prior, power: float = 1.0) -> Floats:
    """Rows of probabilities with these shares of the classes; an item that nothing reaches gets the shares."""
    totals = mass.sum(axis=1, keepdims=True)
    rows = np.where(totals > 1e-12, mass / np.maximum(totals, 1e-12), shares)
    return balanced(np.asarray(rows, dtype=np.float32), np.asarray(shares, dtype=np.float32), power)
