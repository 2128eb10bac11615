"""Mixtures of strategies, written ``entropy:0.8,novelty:0.1,random:0.1`` (Monarch 2021)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from ml_backend.errors import AcquisitionError
from ml_backend.strategies.inputs import Need
from ml_backend.strategies.picks import Positions
from ml_backend.strategies.registry import get_strategy

MIXTURE: Final = "mix"
"""Stands for any mixture in a queue's name, which has no room for colons and commas."""
TOLERANCE: Final = 1e-6
_SHARE: Final = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One strategy of a mixture and its share of the queue, in (0, 1]."""

    name: str
    share: float


@lru_cache(maxsize=256)
def parse_strategy(text: str) -> tuple[Part, ...]:
    """The parts of a strategy setting: one strategy's name, or ``name:share,name:share,...``.

    Raises:
        AcquisitionError: an unknown name, a malformed part, a name given twice, a share that is no number in (0, 1],
            or shares that do not add up to 1.
    """
    if ":" not in text and "," not in text:
        get_strategy(text.strip())
        return (Part(text.strip(), 1.0),)
    parts = tuple(_part(part, text) for part in text.split(","))
    names = [part.name for part in parts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AcquisitionError(f"Mixture {text!r} names {', '.join(twice)} more than once; add the shares up.")
    total = sum(part.share for part in parts)
    if abs(total - 1.0) > TOLERANCE:
        raise AcquisitionError(f"The shares of mixture {text!r} add up to {total:g}; they must add up to 1.")
    return parts


def _part(text: str, mixture: str) -> Part:
    name, colon, share = (piece.strip() for piece in text.partition(":"))
    if not name or not colon or not share:
        raise AcquisitionError(
            f"Mixture {mixture!r}: {text.strip()!r} is no part of one; write name:share,name:share, "
            "as in entropy:0.8,random:0.2."
        )
    get_strategy(name)
    if not _SHARE.fullmatch(share) or not 0 < float(share) <= 1:
        raise AcquisitionError(f"Mixture {mixture!r}: the share of {name} must be a number above 0, at most 1.")
    return Part(name, float(share))


def short_name(text: str) -> str:
    """What stands for a strategy setting in a queue's name: the strategy's name, or ``mix``."""
    parts = parse_strategy(text)
    return parts[0].name if len(parts) == 1 else MIXTURE


def needs(text: str) -> frozenset[Need]:
    """Everything that the parts read."""
    return frozenset[Need]().union(*(get_strategy(part.name).needs for part in parse_strategy(text)))


def itemwise(text: str) -> bool:
    """Whether one task's score can be told without the rest of the pool."""
    parts = parse_strategy(text)
    return len(parts) == 1 and get_strategy(parts[0].name).itemwise


def part_counts(shares: Sequence[float], count: int) -> list[int]:
    """``count`` places divided by shares, by largest remainder; of equal remainders the earlier part's wins."""
    exact = np.asarray(shares) * count
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: count - int(counts.sum())]] += 1
    return [int(c) for c in counts]


def interleave(counts: Sequence[int]) -> Positions:
    """Part of each place, evenly spread: each place goes to the part most behind its share ``[sum(counts)]``.

    People answer only the head of a queue before the next one: every head must be close to the mixture.
    """
    wanted = np.asarray(counts, dtype=np.float64)
    total = int(wanted.sum())
    given = np.zeros(len(wanted))
    out = np.empty(total, dtype=np.int64)
    for place in range(total):
        behind = np.where(given < wanted, wanted * (place + 1) / total - given, -np.inf)
        out[place] = np.argmax(behind)
        given[out[place]] += 1
    return out
