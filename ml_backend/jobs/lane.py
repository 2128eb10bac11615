"""One place where rounds run, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml_backend.rounds.request import RoundRequest


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Lane:
    """What a `LocalRoundQueue` runs rounds in, in a thread of its own."""

    run: Callable[[RoundRequest], dict[str, Any]]
    """Runs one round."""
    cancel: Callable[[], None] = nothing
    """Breaks off the round under way: ``run`` then raises. It returns at once."""
    rest: Callable[[], None] = nothing
    """Gives back memory, where no round has run for a while."""
    close: Callable[[], None] = nothing
    """What ``run`` is doing should end with an error; nothing runs any more."""
    quick: bool = False
    """Takes rounds that only order anew, and none that trains: these need not wait behind any training."""
