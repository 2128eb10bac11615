"""The oracle in place of people: it knows all labels, and gives those that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml_backend.errors import DataError
from ml_backend.models.base import LabeledItems
from ml_backend.models.several import different_answers
from ml_backend.simulation.design import Design, LabelledData
from ml_backend.strategies.picks import Positions


class Oracle:
    """The state of one run: what is held out, labelled and open."""

    def __init__(self, data: LabelledData, design: Design, seed: int) -> None:
        design.check(len(data.items))
        order = np.random.default_rng(seed).permutation(len(data.items)).astype(np.int64)
        if data.test is not None:
            if design.held_out > len(data.test):
                raise DataError(f"{data.name}: {len(data.test):,} items are set apart, not {design.held_out:,}")
            # Those that are set apart first; what is not needed of them stays out of the pool, too.
            apart = np.isin(order, data.test)
            order = np.concatenate([order[apart][: design.held_out], order[~apart]])
        self.data = data
        self.held_out: Positions = order[: design.held_out]
        rest = order[design.held_out :]
        self.evaluation, rest = rest[: design.evaluation], rest[design.evaluation :]
        self._open = np.zeros(len(data.items), dtype=bool)
        self._open[rest] = True
        self._labelled = np.zeros(len(data.items), dtype=bool)
        self.first: Positions = rest[: design.initial]
        """A random draw, the same for all strategies with this seed."""

    @property
    def labelled(self) -> Positions:
        """Labelled positions, rising: the order in which the loop reads tasks."""
        return np.flatnonzero(self._labelled)

    @property
    def open(self) -> Positions:
        """Positions in the pool, rising."""
        return np.flatnonzero(self._open)

    @property
    def steering(self) -> Positions:
        """Half of the held-out items: what strategies that look at evaluation items get to see.

        Such a strategy is judged on the other half alone: it asks for more of what the model gets wrong there.
        """
        return self.held_out[: len(self.held_out) // 2]

    @property
    def pool(self) -> Positions:
        """All that can be labelled or is, rising."""
        return np.flatnonzero(self._open | self._labelled)

    @property
    def classes(self) -> int:
        """Different labels seen so far; of sets different sets."""
        return different_answers(self.data.targets[self.labelled])

    def items(self, positions: Positions) -> list[Any]:
        """Items at positions."""
        return [self.data.items[i] for i in positions]

    def known(self, positions: Positions) -> LabeledItems:
        """Items at positions with their labels."""
        return LabeledItems(self.items(positions), self.data.targets[positions])

    def label(self, positions: Sequence[int] | Positions) -> None:
        """Answer these."""
        self._labelled[np.asarray(positions, dtype=np.int64)] = True
        self._open[np.asarray(positions, dtype=np.int64)] = False
