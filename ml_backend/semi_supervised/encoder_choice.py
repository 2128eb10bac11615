"""Which of several encoders suits a project: measured on the labels that there are, with hysteresis.

Axes: ``N`` items, ``L`` labelled ones among them, ``C`` classes, ``T`` views of one item.

An encoder suits where items of one label lie close together. So each label is left out in turn and guessed from the
others, spread over the neighbour graph of some of the items; the encoder that guesses most of them right is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.encoders.base import Rows
from ml_backend.evaluation.promotion import CHANCE, compare
from ml_backend.models.several import are_sets
from ml_backend.semi_supervised.graph import NEIGHBOURS, Positions, affinity, nearest, propagate

ENOUGH_LABELS: Final = 20
"""Labels from which the measurement decides."""


def left_out_right(views: Sequence[Rows], labelled: Positions, targets: Positions, classes: int) -> NDArray[np.bool_]:
    """Whether each label is guessed right from the other labels ``[L]``; of sets, of each class ``[L C]``.

    With ``M = (I - a S)^-1``, label ``l`` gets from class ``c`` the share ``Σ M[l, m] / Σ_i M[i, m]`` of what the
    other labelled items ``m`` of that class send to all items: label propagation (Zhou et al. 2004) with class masses
    normalised (Zhu, Ghahramani & Lafferty 2003), one label left out. The largest share is the guess.

    Args:
        views: the items in each of their guises, `Encoder.views`; the first is the item itself ``T x [N, D]``.
        labelled: positions of the labelled items, none twice ``[L]``.
        targets: their classes ``[L]``, or sets ``[L, C]``: then yes and no are compared, class by class.
        classes: C.
    """
    weights = affinity(nearest(views, views[0], NEIGHBOURS + 1))
    sources = np.zeros((weights.shape[0], len(labelled)), np.float32)
    sources[labelled, np.arange(len(labelled))] = 1.0
    sent = propagate(weights, sources)
    mass, totals = sent[labelled], np.repeat(sent.sum(axis=0)[None, :], len(labelled), axis=0)
    for own in (mass, totals):
        np.fill_diagonal(own, 0.0)
    if are_sets(targets):
        yes = _shares(mass, totals, targets.astype(np.float32))
        no = _shares(mass, totals, 1 - targets.astype(np.float32))
        return np.asarray((yes > no) == (targets > 0)).ravel()
    shares = _shares(mass, totals, np.eye(classes, dtype=np.float32)[targets])
    return np.asarray((shares.argmax(axis=1) == targets) & (shares.max(axis=1) > 0))


def _shares(mass: Rows, totals: Rows, of_class: Rows) -> Rows:
    """What each label gets of what those of each class ``[L, C]`` send to all ``[L, C]``."""
    received, all_sent = mass @ of_class, totals @ of_class
    return np.where(all_sent > 0, received / np.maximum(all_sent, np.float32(1e-12)), 0.0)


def best_encoder(right: Mapping[str, NDArray[np.bool_]], in_use: str | None) -> str:
    """The name of the encoder to use.

    Without one in use, the one with most labels right; of equal ones the first. Else the one in use, unless another is
    clearly ahead: by the exact test of McNemar (`promotion.compare`), at the level `promotion.CHANCE` divided by the
    number of rivals (Dunn 1961), since the luckiest of several is looked at.

    Args:
        right: name → whether each label is guessed right ``[L]``, of sets each class ``[L, C]``; the preferred first.
        in_use: the encoder that the project was measured to need before, or that its language speaks for.
    """
    best = max(right, key=lambda name: int(right[name].sum()))
    if in_use is None or in_use not in right or best == in_use:
        return best
    used, rival = (_by_item(right[name]) for name in (in_use, best))
    gained = compare(used > rival, rival > used, against=best)  # where both are alike, nothing is told
    return best if gained.p_value < CHANCE / (len(right) - 1) else in_use


def _by_item(right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How much of each item is right ``[L]``: the classes of one set go together, so an item is one comparison."""
    return np.asarray(right.reshape(len(right), -1).sum(axis=1))
