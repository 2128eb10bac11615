"""How much the label of each node of a graph would tell, by what is believed of it and of those around it.

Axes: ``N`` items of the graph, ``C`` classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml_backend.semi_supervised.graph import Floats
from ml_backend.strategies.auto_picks import with_neighbours

if TYPE_CHECKING:
    from scipy import sparse


def between(probabilities: Floats, weights: sparse.csr_matrix) -> Floats:
    """How much a label would tell about the nodes around ``[N]``: ``m · S S m``, ``m = 1 - (p1 - p2)``.

    The margin alone asks for outliers, whose label nobody else shares; ``S S m`` is the margin of neighbours and
    their neighbours.
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities), np.float32)
    best = np.partition(probabilities, -2, axis=1)
    return with_neighbours((1.0 - (best[:, -1] - best[:, -2])).astype(np.float32), weights)


def unreached(mass: Floats, weights: sparse.csr_matrix) -> Floats:
    """How far a node and those around it are from all labels ``[N]``: ``m · S S m``, ``m = max(0, 1 - r / median r)``.

    ``r``: what all labels together send to a node, the row's total of `graph.label_mass`, before any balancing.
    """
    reach = mass.sum(axis=1)
    middle = float(np.median(reach))
    if middle <= 0:
        return with_neighbours((reach <= 0).astype(np.float32), weights)
    return with_neighbours(np.clip(1.0 - reach / middle, 0.0, 1.0).astype(np.float32), weights)


def in_doubt(beliefs: Floats, weights: sparse.csr_matrix, over_classes: str) -> Floats:
    """How much a set would tell about the nodes around ``[N]``: ``h · S S h``, ``h`` of the classes' binary entropies.

    Args:
        beliefs: of each class by itself ``[N, C]``.
        weights: of the graph ``S [N, N]``.
        over_classes: whether ``h`` is their ``mean`` or the ``largest``.
    """
    p = np.clip(beliefs, 1e-6, 1 - 1e-6)
    entropies = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    h = entropies.max(axis=1) if over_classes == "largest" else entropies.mean(axis=1)
    return with_neighbours(h.astype(np.float32), weights)
