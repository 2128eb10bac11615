"""All that a strategy may look at.

Axes: ``N`` open items, ``K`` passes, ``C`` classes, ``D`` embedding dimensions, ``F`` features, ``L`` labelled items,
``V`` evaluation items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.strategies.picks import Floats

if TYPE_CHECKING:
    from scipy import sparse

    from ml_backend.semi_supervised.graph import Neighbourhood

Need = Literal[
    "probabilities", "samples", "embeddings", "labelled", "validation", "features", "neighbourhood", "doubts"
]
NEEDS: Final[tuple[Need, ...]] = get_args(Need)
Array = NDArray[np.floating]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class StrategyInputs:
    """What is known of ``N`` open items; None where nobody needs it.

    Rows stand in a drawn order (see ``selection.choose``): strategies give ties to the earlier row.
    """

    task_ids: NDArray[np.int64]
    """``[N]``."""
    draws: Floats
    """One uniform draw in [0, 1) per item, by seed and task id ``[N]``: the score of ``random``."""
    noise: Floats
    """Another one ``[N]``: what randomised scores add."""
    seed: int = 0
    classes: int = 2
    """C."""
    several: bool = False
    """Whether answers are sets: each class's probability stands by itself, and rows do not sum to 1."""
    over_classes: str = "mean"
    """Of sets: whether an item's score is the ``mean`` or the ``largest`` of its classes'."""
    probabilities: Array | None = None
    """``[N, K, C]``."""
    embeddings: Array | None = None
    """``[N, D]``."""
    features: sparse.csr_matrix | None = None
    """``[N, F]``."""
    labelled: Array | None = None
    """Embeddings of the labelled items ``[L, D]``; L may be 0."""
    labelled_features: sparse.csr_matrix | None = None
    """``[L, F]``."""
    validation: Array | None = None
    """Embeddings of the evaluation items ``[V, D]``."""
    wrong: NDArray[np.bool_] | None = None
    """Whether the model gets each evaluation item wrong ``[V]``."""
    neighbourhood: Neighbourhood | None = None
    """The items in a graph with the labelled ones; its ``open`` are the N items."""
    doubts: Floats | None = None
    """How doubtful another model's prediction of each item is, in [0, 1] ``[N]``."""

    def __len__(self) -> int:
        return len(self.task_ids)

    def take(self, rows: NDArray[np.int64]) -> StrategyInputs:
        """The same of some of the items, in this order."""

        def cut(values: Array | None) -> Array | None:
            return None if values is None else values[rows]

        return replace(
            self,
            task_ids=self.task_ids[rows],
            draws=self.draws[rows],
            noise=self.noise[rows],
            probabilities=cut(self.probabilities),
            embeddings=cut(self.embeddings),
            features=None if self.features is None else self.features[rows],
            doubts=None if self.doubts is None else self.doubts[rows],
            neighbourhood=None if self.neighbourhood is None else self.neighbourhood.take(rows),
        )

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for every use, fixed by the seed."""
        return np.random.default_rng([self.seed % 2**64, stream])

    def uniforms(self, row: int, size: int) -> Floats:
        """Uniform draws that belong to one item, whatever its row."""
        return np.random.default_rng([self.seed % 2**64, 7, int(self.task_ids[row]) % 2**64]).random(size)


def require(values: NDArray[Scalar] | None) -> NDArray[Scalar]:
    """An array that ``needs`` promised.

    Raises:
        AcquisitionError: it is missing: the strategy's ``needs`` do not name all that it reads.
    """
    if values is None:
        raise AcquisitionError("A strategy reads inputs that its record does not name under `needs`.")
    return values


MISSING: Final[Mapping[Need, str]] = {
    "probabilities": "a trained model: label tasks of two classes and train first",
    "samples": "passes that differ (Monte-Carlo dropout): ask for at least 2 samples, of a model trained with dropout",
    "embeddings": "embeddings: the model must offer embed()",
    "labelled": "the labelled items",
    "validation": "evaluation tasks: import some with --evaluation, and label them",
    "features": "features of the items: texts, or embeddings of the model",
    "neighbourhood": "a neighbour graph of the items: an embedding, learnt without labels or the model's",
    "doubts": "predictions of another model in Label Studio: it orders projects there, not simulations",
}


def check_needs(strategy: str, needs: frozenset[Need], available: frozenset[Need]) -> None:
    """See to it that all a strategy reads can be had, before anything is computed.

    Raises:
        AcquisitionError: something is missing; the message says what, and where it comes from.
    """
    missing = [MISSING[need] for need in NEEDS if need in needs - available]
    if missing:
        raise AcquisitionError(f"Strategy {strategy!r} needs {'; and '.join(missing)}.")
