"""What was chosen, by task id: the one record of picks, who made them, their utility, reasons and guesses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.draws import Ids
from ml_backend.selection.ordering import Floats

Reasons = Mapping[int, str]
"""Task id → why it was picked, beside the strategy; ``{3}`` stands for the name of class 3."""


@dataclass(frozen=True)
class Selection:
    """The next ``B`` tasks, first asked first: what a mixture picks, and later the whole queue."""

    task_ids: Ids
    """``[B]``, each at most once."""
    picked_by: tuple[str, ...]
    """The strategy (in a mixture the part) that chose each, ``control`` or ``pinned`` ``[B]``."""
    utility: Floats
    """In [0, 1], never rising ``[B]``; in a mixture, whose parts have no common measure, the place. A control task has
    that of the pick before it, to keep its place."""
    reasons: Reasons = field(default_factory=dict)
    """Of the picks about which there is more to say than who chose them; never of a control task, of which nobody is
    told what the model thinks."""
    winner: NDArray[np.int64] | None = None
    """Index of each task's most probable label ``[B]``; None where no model scored."""
    confidence: Floats | None = None
    """Its probability ``[B]``; None likewise. Of sets that of the whole set."""
    sets: NDArray[np.bool_] | None = None
    """Which classes the model says each task has ``[B, C]``; None where answers are single labels."""
    asked_by: Mapping[int, str] = field(default_factory=dict)
    """Task id → control of the question that wanted it, where several take turns and that is not the first."""

    def __len__(self) -> int:
        return len(self.task_ids)

    def renamed(self, names: Mapping[int, int]) -> Selection:
        """The same with other ids; those that ``names`` lacks stay."""
        return replace(
            self,
            task_ids=np.array([names.get(task, task) for task in self.task_ids.tolist()], dtype=np.int64),
            reasons={names.get(task, task): reason for task, reason in self.reasons.items()},
            asked_by={names.get(task, task): control for task, control in self.asked_by.items()},
        )

    def without(self, left_out: Collection[int]) -> Selection:
        """The others, in their order."""
        kept = np.flatnonzero([task not in left_out for task in self.task_ids.tolist()])
        return replace(
            self,
            task_ids=self.task_ids[kept],
            picked_by=tuple(self.picked_by[place] for place in kept.tolist()),
            utility=self.utility[kept],
            winner=None if self.winner is None else self.winner[kept],
            confidence=None if self.confidence is None else self.confidence[kept],
            sets=None if self.sets is None else self.sets[kept],
        )

    def then(self, rest: Selection) -> Selection:
        """These, and behind them others."""
        return Selection(
            np.concatenate([self.task_ids, rest.task_ids]),
            self.picked_by + rest.picked_by,
            np.concatenate([self.utility, rest.utility]),
            {**self.reasons, **rest.reasons},
        )
