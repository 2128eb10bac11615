"""Whether a new version may replace the one in use: it may not where it is clearly worse on the evaluation tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.files import fingerprint

CHANCE = 0.05
"""A difference that chance alone would bring more often than this is not held against a new version."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """A new version beside the one in use, both asked about the same evaluation tasks; JSON-able with ``asdict``."""

    against: str
    """The version in use."""
    n: int
    accuracy: float
    accuracy_before: float
    """Accuracy of the version in use."""
    lost: int
    """Tasks that only the version in use has right."""
    won: int
    """Tasks that only the new version has right."""
    p_value: float
    """How often chance alone would lose at least so many of the ``lost + won`` tasks."""

    def clearly_worse(self, margin: float) -> bool:
        """Whether the accuracy fell by more than ``margin``, and chance hardly explains it."""
        return self.accuracy_before - self.accuracy > margin and self.p_value < CHANCE

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.1%} against {self.accuracy_before:.1%} of {self.against} on the same {self.n} "
            f"evaluation tasks ({self.lost} lost, {self.won} won, p = {self.p_value:.2g})"
        )


def compare(new_right: Flags, old_right: Flags, *, against: str) -> Comparison:
    """Compare by the tasks ``[N]`` that each version has right.

    The exact McNemar test, one-sided: were both equally good, each task on which they differ would be lost or won
    with probability 1/2, so ``p = P(X >= lost)``, ``X ~ Binomial(lost + won, 1/2)``. It is paired, so tasks that both
    have right or both have wrong add no noise. Fewer than five lost tasks never count.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996.

    Raises:
        ValueError: no tasks, or not the same number of them.
    """
    from scipy.stats import binomtest

    if new_right.shape != old_right.shape or new_right.ndim != 1 or not len(new_right):
        raise ValueError(f"Both versions must answer the same tasks, not {new_right.shape} and {old_right.shape}")
    lost = int(np.count_nonzero(old_right & ~new_right))
    won = int(np.count_nonzero(new_right & ~old_right))
    p_value = float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue) if lost + won else 1.0
    return Comparison(against, len(new_right), float(np.mean(new_right)), float(np.mean(old_right)), lost, won, p_value)


def is_promoted(comparison: Comparison | None, margin: float | None) -> bool:
    """Whether a new version may be served: always without a margin, or with nothing to compare it with."""
    return margin is None or comparison is None or not comparison.clearly_worse(margin)


def evaluation_fingerprint(answers: Iterable[tuple[int, str]]) -> str:
    """Hash of what was measured on: evaluation tasks with their labels. Another hash: a verdict is out of date."""
    return fingerprint(sorted(answers))
