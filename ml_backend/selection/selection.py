"""What was chosen: the one record of picks, who made them, their utility and the reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from ml_backend.records import CONTROL, PINNED
from ml_backend.selection.ordering import Floats
from ml_backend.selection.scoring import Scores
from ml_backend.strategies.mixture import needs
from ml_backend.strategies.picks import Positions, Reasons


@dataclass(frozen=True)
class Selection:
    """The next ``B`` of ``N`` items, first asked first: what a mixture picks, and later the whole queue."""

    order: Positions
    """Positions among the items ``[B]``."""
    picked_by: tuple[str, ...]
    """The strategy (in a mixture the part) that chose each, ``control`` or ``pinned`` ``[B]``."""
    utility: Floats
    """In [0, 1], never rising ``[B]``; in a mixture, whose parts have no common measure, the place. A control task has
    that of the pick before it, to keep its place."""
    reasons: Reasons = field(default_factory=dict)
    """What the strategies tell of single picks, by position among the items; see `picks.Reasons`."""
    scores: Scores | None = None
    """Of all ``N`` items, where a model gave them: winners and confidences, for the predictions of the picks."""

    def reason(self, place: int) -> str:
        """Why the item at this place is there: what its strategy tells, else between what the model wavers.

        Of a control task nobody is told what the model thinks; ``{3}`` stands for the name of class 3.
        """
        item, picked_by, scores = int(self.order[place]), self.picked_by[place], self.scores
        if picked_by in (CONTROL, PINNED):
            return ""
        if item in self.reasons or scores is None or "probabilities" not in needs(picked_by):
            return self.reasons.get(item, "")
        first, second = scores.winner[item], scores.second[item]
        return (
            f"{{{first}}} ({scores.confidence[item]:.0%}) or {{{second}}} ({scores.second_confidence[item]:.0%}) "
            "by the model"
        )
