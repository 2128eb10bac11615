"""What is known when somebody asks what to label next, and which strategy that lets them use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.config import ProjectSettings
from ml_backend.draws import Ids
from ml_backend.models.base import LabeledItems, Model
from ml_backend.semi_supervised.pool_embedding import Unlabelled
from ml_backend.strategies.inputs import Need, check_needs
from ml_backend.strategies.mixture import itemwise, needs, parse_strategy
from ml_backend.strategies.registry import get_strategy
from ml_backend.strategies.several import check_takes_sets

COLD_START: Final = "random"
"""Strategy before a first model, where the project's own needs one."""
WITHOUT_MODEL: Final = frozenset[Need](("embeddings", "labelled", "features", "neighbourhood", "doubts"))
"""What can be had before a first model."""


@dataclass(frozen=True)
class QueryContext:
    """``N`` open items and all that is known beside them."""

    model: Model | None
    """Scores the items. Without one, strategies that need none go by raw embeddings; any other waits: the order is
    random."""
    items: Sequence[Any]
    """``[N]``, as the model reads them."""
    task_ids: Ids
    """``[N]``; draws and ties depend on them and the seed, never on positions."""
    settings: ProjectSettings
    """Strategy, samples, seed, control share, balance."""
    classes: int = 2
    """How many, where there is no model to tell."""
    labelled: LabeledItems | None = None
    """The labelled items, for strategies and settings that `wants` them."""
    validation: LabeledItems | None = None
    """The evaluation items, likewise."""
    unlabelled: Unlabelled | None = None
    """The items' embedding, learnt without labels; else raw embeddings or the model's stand in."""
    doubts: NDArray[np.float64] | None = None
    """How doubtful another model's prediction of each item is, in [0, 1] ``[N]``."""
    multiple: bool = False
    """Whether answers are sets of classes."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def strategy(self) -> str:
        """The project's, or what stands in for it."""
        return strategy_in_use(self.settings, trained=self.model is not None)

    @property
    def ranks_itemwise(self) -> bool:
        """Whether the order is that of the items' own scores."""
        return itemwise(self.strategy) and not self.settings.balance

    @property
    def shows_texts(self) -> bool:
        """Whether the items are texts."""
        return len(self.items) > 0 and isinstance(self.items[0], str)

    def take(self, positions: NDArray[np.int64]) -> QueryContext:
        """The same with some of the open items, in this order."""
        if len(positions) == len(self) and (np.diff(positions) == 1).all():
            return self
        doubts = None if self.doubts is None else self.doubts[positions]
        items = [self.items[i] for i in positions.tolist()]
        return replace(self, items=items, task_ids=self.task_ids[positions], doubts=doubts)

    def check(self) -> None:
        """See to it that all the strategy reads can be had, before anything is computed.

        Raises:
            AcquisitionError: something is missing; the message says what, and where it comes from.
        """
        check_needs(self.strategy, needs(self.strategy), self._available())
        if self.multiple:
            for part in parse_strategy(self.strategy):
                check_takes_sets(part.name, get_strategy(part.name))

    def _available(self) -> frozenset[Need]:
        able = hasattr(self.model, "embed") if self.model is not None else True
        found: dict[Need, bool] = {
            "probabilities": self.model is not None,
            "samples": self.model is not None and self.model.stochastic,
            "embeddings": able,
            "labelled": self.labelled is not None,
            "validation": self.validation is not None and len(self.validation.items) > 0,
            "features": able or self.shows_texts,
            "neighbourhood": able,
            "doubts": self.doubts is not None,
        }
        return frozenset(need for need, there in found.items() if there)


def strategy_in_use(settings: ProjectSettings, *, trained: bool) -> str:
    """The project's strategy, or what stands in for it before a first model."""
    return settings.strategy if trained or needs(settings.strategy) <= WITHOUT_MODEL else COLD_START


def wants(settings: ProjectSettings, *, trained: bool) -> frozenset[Need]:
    """What a context has to hold beside the open items: ``labelled``, ``validation``."""
    wanted = needs(strategy_in_use(settings, trained=trained)) & frozenset[Need](("labelled", "validation"))
    return wanted | frozenset[Need](("labelled",)) if settings.balance and trained else wanted
