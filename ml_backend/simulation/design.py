"""What a simulation is about: labelled items, how to proceed, and what each round gives.

Axes: ``N`` labelled items, of which some are held out to judge, some are the first labels, and the rest is the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml_backend.errors import DataError
from ml_backend.label_sets import pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml_backend.models.base import Model

MEASURES = ("accuracy", "f_macro", "f_micro", "f_positive", "auc", "nll", "ece")
"""Fields of ``Metrics`` that a round keeps."""


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Items whose labels are known: what the oracle answers from."""

    name: str
    model: type[Model]
    labels: tuple[str, ...]
    items: Sequence[Any]
    """``N`` items, as the model's ``read_item`` returns them."""
    targets: NDArray[np.int64]
    """Indices into ``labels [N]``; of answers of several choices sets ``[N, C]``."""
    source: str = ""
    test: NDArray[np.int64] | None = None
    """Items that the data's authors set apart to judge on; None: a random draw judges."""
    values: Sequence[str] = ()
    """What a task of Label Studio holds for each item ``[N]``; empty: the item, or a picture made of it."""
    encoder: str = ""
    """What reads the texts, for the model as for the pool's embedding; empty: the model's own."""

    @property
    def multiple(self) -> bool:
        """Whether an answer is a set of labels."""
        return self.targets.ndim == 2

    def answer(self, position: int) -> str:
        """The label of an item, or the text for its set."""
        if not self.multiple:
            return self.labels[int(self.targets[position])]
        return pack([label for label, has in zip(self.labels, self.targets[position], strict=True) if has], self.labels)


@dataclass(frozen=True)
class Design:
    """How a simulation proceeds; the same for all strategies and seeds."""

    held_out: int
    """Items that judge every model."""
    initial: int
    """First labels."""
    batch: int
    """Labels between two trainings."""
    budget: int
    """Labels at which a run ends."""
    cold: bool = False
    """Whether the strategy chooses the first labels too, without a model; else they are drawn at random."""
    samples: int = 20
    learn_from_pool: bool = True
    """Whether models learn from unlabelled items too, and strategies go by an embedding learnt without labels."""
    embedding: str = "auto"
    """The encoder of these; ``auto``: the one that a project with this model gets."""
    control_share: float = 0.0
    """Share of each batch that is drawn at random; the loop's setting, 0 here to see the strategy alone."""
    instant: bool = False
    """Whether each answer of a batch changes what comes next in it, as the instant loop does between two rounds."""
    evaluation: int = 0
    """Items beside the held-out ones that each round knows the labels of, as it does of evaluation tasks: whether to
    learn from the pool is decided on them, and probabilities are calibrated on them."""
    candidates: int = 0
    """Items that are compared, and learnt from, at a time, found as in a round over a pool outside; 0: all."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def check(self, size: int) -> None:
        """Refuse what ``size`` items cannot do.

        Raises:
            DataError: a count below one, or more items wanted than there are.
        """
        for name in ("held_out", "initial", "batch", "budget"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.initial > self.budget:
            raise DataError(f"{self.initial:,} first labels are more than the budget of {self.budget:,}")
        if self.held_out + self.evaluation + self.budget > size:
            raise DataError(
                f"{self.held_out + self.evaluation:,} held-out items and a budget of {self.budget:,} labels do not fit "
                f"into {size:,} labelled items; lower one of them"
            )


@dataclass(frozen=True)
class Round:
    """One training of one run, judged on the held-out items."""

    strategy: str
    seed: int
    round: int
    labels: int
    """Labels trained on."""
    measures: Mapping[str, float | None]
    fit_seconds: float
    select_seconds: float
    """Scoring the open items and choosing from them."""
    picked: tuple[int, ...] = ()
    """Positions that were labelled after it; empty at the end of a run."""
    learnt_from: str = "labels"
    """``pool``, or ``labels`` alone."""
    in_a_row: int = 0
    """Trainings since the last from scratch: 0 where this is one."""
