"""The strategy ``random``: what every other one is measured against."""

from __future__ import annotations

from typing import Final

from ml_backend.strategies.base import Strategy

RANDOM: Final = Strategy(
    "any: the control arm that every claim needs, and the order before a first model",
    "a uniform draw per item, fixed by seed and task id",
    "",
    "O(N)",
    score=lambda e: e.draws.copy(),
    itemwise=True,
)
