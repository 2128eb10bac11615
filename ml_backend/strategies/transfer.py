"""Strategies that learn from the evaluation items where the model fails.

Axes: ``N`` open items, ``V`` evaluation items, ``D`` embedding dimensions, ``B`` picks. They look at the evaluation
items' embeddings and at which of them the model gets wrong; the model itself never trains on those.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.strategies.base import Strategy, embeddings_of, needs, validation_of, wrong_of
from ml_backend.strategies.picks import Floats, Picks

PICKS_PER_FIT = 10
"""Picks of `atlas` between two trainings of the second model (as in Monarch's code)."""
Embeddings = NDArray[np.floating]


def model_outlier(embeddings: Embeddings, validation: Embeddings) -> Floats:
    """``1 - mean over units of the share of evaluation items with a weaker activation``, in [0, 1] ``[N]``.

    What moves no unit as strongly as the evaluation items do is unlike anything the model learnt (Monarch 2021,
    ch. 4). Ties count half. O((N + V) D log V).
    """
    units = embeddings.shape[1]
    total = np.zeros(len(embeddings))
    for unit in range(units):
        known = np.sort(validation[:, unit])
        column = embeddings[:, unit]
        total += np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")
    return np.asarray(1.0 - total / (2.0 * units * len(validation)))


MODEL_OUTLIER: Final = Strategy(
    "items that move the model's units less than the evaluation items do: what it has never met",
    "`1 - mean over units of the rank among evaluation items`",
    "Monarch 2021, ch. 4",
    "O((N + V) D log V)",
    needs("embeddings", "validation"),
    score=lambda e: model_outlier(embeddings_of(e), validation_of(e)),
    caveat="best as a small part of a mixture; on digits with a linear model worse than random from 10 to 100 labels",
)


def active_transfer(embeddings: Embeddings, validation: Embeddings, wrong: NDArray[np.bool_]) -> Floats:
    """``P(the model is wrong)`` by a logistic regression that learnt it from the evaluation items ``[N]``.

    Monarch 2021, ch. 5: active transfer learning. Where all evaluation answers are right, or all wrong, there is
    nothing to tell apart, and every item has the same score.

    Args:
        embeddings: ``[N, D]``.
        validation: ``[V, D]``.
        wrong: whether the model gets each evaluation item wrong ``[V]``.
    """
    mean, spread = validation.mean(axis=0), validation.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    return _wrong_share((embeddings - mean) / scale, (validation - mean) / scale, wrong)


ACTIVE_TRANSFER: Final = Strategy(
    "items like those evaluation items that the model gets wrong: finds confident mistakes",
    "`P(wrong | h)` by a logistic regression on the evaluation items",
    "Monarch 2021, ch. 5",
    "O(V D² + N D)",
    needs("probabilities", "embeddings", "validation"),
    score=lambda e: active_transfer(embeddings_of(e), validation_of(e), wrong_of(e)),
    takes_several=True,
    caveat="random while no evaluation answer is wrong; evaluation items steer the queue: report on others",
)


def atlas(embeddings: Embeddings, validation: Embeddings, wrong: NDArray[np.bool_], count: int) -> Picks:
    """`active_transfer`, trained anew after every ten picks with these as items the model now gets right.

    Monarch 2021, ch. 5: active transfer learning for adaptive sampling. A picked item will have a label, so its
    like need not be asked again: the picks spread over the kinds of mistakes. O(B / 10 trainings on V + B items).
    """
    mean, spread = validation.mean(axis=0), validation.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    x, known, target = (embeddings - mean) / scale, (validation - mean) / scale, np.asarray(wrong, dtype=np.bool_)
    order: list[int] = []
    values: list[float] = []
    left = np.ones(len(x), dtype=np.bool_)
    while len(order) < min(count, len(x)):
        scores = np.where(left, _wrong_share(x, known, target), -1.0)
        size = min(PICKS_PER_FIT, count - len(order), int(left.sum()))
        best = np.argsort(-scores, kind="stable")[:size]
        order += best.tolist()
        values += scores[best].tolist()
        left[best] = False
        known, target = np.concatenate([known, x[best]]), np.concatenate([target, np.zeros(size, dtype=np.bool_)])
    return Picks.of(order, np.array(values))


ATLAS: Final = Strategy(
    "as `active_transfer`, assuming its picks corrected as it goes: all kinds of mistakes in one batch",
    "as `active_transfer`, trained anew every 10 picks with these as right",
    "Monarch 2021, ch. 5",
    "O(B / 10 · ((V + B) D² + N D))",
    needs("probabilities", "embeddings", "validation"),
    pick=lambda e, count: atlas(embeddings_of(e), validation_of(e), wrong_of(e), count),
    copies=embeddings_of,
    takes_several=True,
    caveat="as `active_transfer`",
)


def _wrong_share(x: Embeddings, known: Embeddings, wrong: NDArray[np.bool_]) -> Floats:
    if not len(x) or wrong.all() or not wrong.any():
        return np.full(len(x), (wrong.sum() + 1) / (len(wrong) + 2))  # Laplace's rule
    # Imported when used: a second of start-up that every command would pay for.
    from sklearn.linear_model import LogisticRegression

    # Newton's method: a few steps, exact, and no random start.
    model = LogisticRegression(solver="newton-cholesky", max_iter=100).fit(known, wrong)
    return np.asarray(model.predict_proba(x)[:, 1], dtype=np.float64)
