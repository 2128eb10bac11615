"""How useful an answer to each row of a pool would be, by what a version says of its vector.

Axes: ``n`` rows, ``D`` numbers of a vector, ``K`` dropout passes, ``C`` classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.pool.vector_pages import Some
from ml_backend.selection.ordering import Floats, uncertainty
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.several import OverClasses


class Head(Protocol):
    """What a version says of vectors."""

    @property
    def several(self) -> bool:
        """Whether its answers are sets of classes: its rows of probabilities then do not sum to 1."""
        return False

    @property
    def questions(self) -> Sequence[tuple[Head, float]]:
        """Each question that is learnt, the first being its own, and how much it counts."""
        return [(self, 1.0)]

    @abstractmethod
    def probabilities(self, vectors: Some, *, samples: int = 1, seed: int = 0) -> NDArray[np.float32]:
        """Of each row ``[n, K, C]``."""


def utility(
    head: Head,
    vectors: Some,
    keys: Ids,
    *,
    strategy: str,
    samples: int,
    seed: int,
    over_classes: OverClasses = "mean",
) -> Floats:
    """Normalised utility of rows in [0, 1], larger = ask sooner ``[n]``, as `selection.ordering.uncertainty`.

    Of several questions the weighted mean ``Σ w_q u_q / Σ w_q``, as in a round over tasks (`rounds.question_scores`).

    Args:
        head: what the version says.
        vectors: of the rows ``[n, D]``.
        keys: their numbers ``[n]``.
        strategy: a name in ``STRATEGIES``, or a mixture.
        samples: dropout passes, where the strategy needs them.
        seed: fixes the passes, and randomised scores.
        over_classes: how the classes of a set make one score.

    Raises:
        AcquisitionError: as from `selection.ordering.uncertainty`.
    """
    count, total = samples if "samples" in needs(strategy) else 1, np.zeros(len(keys))
    for each, weight in head.questions:
        probabilities = each.probabilities(vectors, samples=count, seed=seed)
        sets = {"several": each.several, "over_classes": over_classes}
        total += weight * uncertainty(strategy, probabilities, keys, seed=seed, **sets)
    return total / sum(weight for _, weight in head.questions)
