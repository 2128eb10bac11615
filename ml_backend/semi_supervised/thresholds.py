"""From which probability a class is in an item's set, where no evaluation answers say: what the pool makes expect.

Axes: ``N`` items of the pool, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.models.base import Model
from ml_backend.models.several import HALF, takes_sets
from ml_backend.semi_supervised.set_spreading import balanced_by_class


def expected_thresholds(probabilities: NDArray[np.floating], rates: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each class the probability from which it is taken to be in a set, so that F is expected to be best ``[C]``.

    ``F_k = 2 Σ_{i <= k} q_i / (k + Σ q)``, items by falling probability, ``q`` the probabilities shifted to the class's
    rate (`set_spreading.balanced_by_class`). A model of few labels ranks items far better than it tells how many have a
    class: at one half a rare one is in hardly any set. A class of rate 0 keeps one half.

    Sources: Ye, Chai, Lee & Chieu 2012, https://arxiv.org/abs/1206.4625; Lipton, Elkan & Naryanaswamy 2014,
    https://arxiv.org/abs/1402.1892; the shift: Saerens, Latinne & Decaestecker 2002,
    https://doi.org/10.1162/089976602753284446.

    Args:
        probabilities: ``[N, C]``.
        rates: expected share of the items that have each class ``[C]``.
    """
    p = np.asarray(probabilities, dtype=np.float32)
    told = np.flatnonzero(np.asarray(rates) > 0)
    found = np.full(p.shape[1], HALF)
    if not len(p):
        return found
    shifted = balanced_by_class(p, np.asarray(rates, dtype=np.float32))
    for c in told.tolist():
        order = np.argsort(-p[:, c], kind="stable")
        values, gained = p[order, c].astype(np.float64), np.cumsum(shifted[order, c], dtype=np.float64)
        last = np.flatnonzero(np.r_[values[1:] != values[:-1], True])  # items that are alike are in or out together
        best = int(np.argmax(2 * gained[last] / (last + 1 + gained[-1])))
        below = values[last[best] + 1] if best + 1 < len(last) else 0.0
        found[c] = (values[last[best]] + below) / 2
    return found


def suit(model: Model, items: Sequence[Any], rates: NDArray[np.floating]) -> None:
    """Give a model of sets `expected_thresholds` of these items; any other is left as it is."""
    if takes_sets(model):
        found = expected_thresholds(model.probabilities(items)[:, 0], rates)
        vars(model).update(thresholds=found, usual_thresholds=found)
