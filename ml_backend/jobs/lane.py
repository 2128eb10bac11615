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
    """Breaks off the running round, so that ``run`` raises; returns at once."""
    rest: Callable[[], None] = nothing
    """Frees memory after a while without a round."""
    close: Callable[[], None] = nothing
    """Makes a running ``run`` end with an error; nothing runs any more afterwards."""
    quick: bool = False
    """Whether it takes only rounds that do not train, so that these need not wait behind a training."""
