"""Whether a model can be told from guessing the most frequent class. Axes: ``N`` items, ``C`` classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import AcquisitionError
from ml_backend.evaluation.metrics import check_distributions
from ml_backend.evaluation.sets import check_set_probabilities
from ml_backend.label_sets import SEPARATOR, shown

LEVEL: Final = 0.05
"""How often a model that guesses may pass for one that does not; half of it for each of the two tests."""
WHAT_TO_TRY: Final = (
    "label more, check that what a task shows tells its class, or let another model look at it "
    "(settings image_model, text_model, embedding)"
)


@dataclass(frozen=True)
class GuessingVerdict:
    """What answers to items that were not trained on say; JSON-able with ``dataclasses.asdict``."""

    n: int
    """Items."""
    right: int
    """Of these the model has right."""
    most_frequent: str
    """The class that a guess would name."""
    frequent: int
    """Items of it: what guessing has right."""
    p_accuracy: float
    """How often a model no better than guessing would win so many more items than it loses."""
    p_ranking: float
    """How often answers without any knowledge would rank the items of some class so far above the others."""
    tellable: bool
    """Whether a faultless model would pass: if not, there are too few items, or too few of a second class."""

    @property
    def guessing(self) -> bool | None:
        """Whether it cannot be told from guessing; None where nothing can be told of any model."""
        if not self.tellable:
            return None
        return min(self.p_accuracy, self.p_ranking) >= LEVEL / 2

    @property
    def sentence(self) -> str:
        """The verdict in words; empty where the model knows something."""
        numbers = (
            f"{self.right} of {self.n} answers to tasks left out are right, "
            f"{self.frequent} would be by always saying {self.most_frequent!r}"
        )
        if self.guessing is None:
            return f"too few labels to tell the model from guessing: {numbers}"
        if self.guessing:
            return f"no better than guessing: {numbers} (p = {self.p_accuracy:.2g}); {WHAT_TO_TRY}"
        return ""


def guessing_verdict(
    probabilities: NDArray[np.floating], targets: NDArray[np.integer], labels: Sequence[str]
) -> GuessingVerdict:
    """Judge answers ``probabilities [N, C]`` to items that the model was not trained on, ``targets [N]``.

    Two tests, each at half of `LEVEL`; a model that passes one of them knows something.

    - Accuracy: McNemar's exact test against always naming the most frequent of the ``targets``, one-sided:
      ``p = P(X >= won)``, ``X ~ Binomial(won + lost, 1/2)`` (McNemar 1947, https://doi.org/10.1007/BF02295996).
    - Ranking, since a model of a rare class can rank well and never name it: for each class whether its probability is
      larger for its own items than for others, one-sided (Mann & Whitney 1947,
      https://doi.org/10.1214/aoms/1177730491); the least p, times the number of classes (Bonferroni).

    Items that a strategy asked for are harder than the pool: of those, a good model may look like a guess. Use
    evaluation tasks or labels that chance drew.

    Raises:
        AcquisitionError: no items, shapes that do not fit, a target outside the labels, or a row that is no
            distribution.
    """
    p, y = check_distributions(probabilities, len(labels)), np.asarray(targets)
    if y.shape != (len(p),) or not len(p):
        raise AcquisitionError(f"{len(p)} rows of probabilities but targets of shape {y.shape}; give one to each")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= len(labels):
        raise AcquisitionError(f"Targets must be whole numbers from 0 to {len(labels) - 1}, indices into the labels")
    counts = np.bincount(y, minlength=len(labels))
    frequent = int(counts.argmax())
    right, guessed = p.argmax(axis=1) == y, y == frequent
    faultless = _p_accuracy(np.ones(len(y), np.bool_), guessed), _p_ranking(np.eye(len(labels))[y], y)
    return GuessingVerdict(
        n=len(y),
        right=int(right.sum()),
        most_frequent=labels[frequent],
        frequent=int(counts[frequent]),
        p_accuracy=_p_accuracy(right, guessed),
        p_ranking=_p_ranking(p, y),
        tellable=min(faultless) < LEVEL / 2,
    )


def guessing_verdict_of_sets(
    probabilities: NDArray[np.floating],
    sets: NDArray[np.integer],
    labels: Sequence[str],
    answers: NDArray[np.integer] | None = None,
) -> GuessingVerdict:
    """`guessing_verdict` of sets ``[N, C]``: whole sets against the most frequent one, each class ranked.

    ``answers``: what the model says, by its thresholds; by default what is likelier than not.

    Raises:
        AcquisitionError: no items, shapes that do not fit, or a probability that is none.
    """
    p, y = check_set_probabilities(probabilities, len(labels)), np.asarray(sets)
    if y.shape != p.shape or not len(p):
        raise AcquisitionError(f"Probabilities of shape {p.shape} but sets of shape {y.shape}; give one to each")
    kinds, kind, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    frequent = int(counts.argmax())
    guessed = kind.reshape(-1) == frequent
    right = ((p >= 0.5 if answers is None else answers) == y).all(axis=1)
    faultless = _p_accuracy(np.ones(len(y), np.bool_), guessed), _p_ranked_classes(y.astype(np.float64), y)
    return GuessingVerdict(
        n=len(y),
        right=int(right.sum()),
        most_frequent=shown(SEPARATOR.join(labels[c] for c in np.flatnonzero(kinds[frequent]))),
        frequent=int(counts[frequent]),
        p_accuracy=_p_accuracy(right, guessed),
        p_ranking=_p_ranked_classes(p, y),
        tellable=min(faultless) < LEVEL / 2,
    )


def _p_accuracy(right: NDArray[np.bool_], guessed: NDArray[np.bool_]) -> float:
    from scipy.stats import binomtest

    won, lost = np.count_nonzero(right & ~guessed), np.count_nonzero(guessed & ~right)
    return float(binomtest(int(won), int(won + lost), 0.5, alternative="greater").pvalue) if won + lost else 1.0


def _p_ranking(p: NDArray[np.floating], y: NDArray[np.integer]) -> float:
    return _p_ranked_classes(p, y[:, None] == np.arange(p.shape[1]))


def _p_ranked_classes(p: NDArray[np.floating], sets: NDArray[Any]) -> float:
    """The least p of the classes that some items have and some have not, times their number."""
    counts = sets.sum(axis=0)
    found = [_p_ranked(p[:, c], sets[:, c] > 0) for c in np.flatnonzero(counts) if counts[c] < len(sets)]
    return min(1.0, min(found, default=1.0) * max(len(found), 1))


def _p_ranked(values: NDArray[np.floating], of_class: NDArray[np.bool_]) -> float:
    from scipy.stats import mannwhitneyu

    found = float(mannwhitneyu(values[of_class], values[~of_class], alternative="greater").pvalue)
    # Of few items with ties scipy's approximation goes far below what the rarest of all arrangements has.
    return max(found, 1 / comb(len(values), int(of_class.sum())))
