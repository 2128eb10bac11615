"""Axes whose numbers never repeat: ranges and ticks are computed here, not by the drawing library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_TICKS: Final = 6
"""Most numbers on an axis; more would touch each other on a phone."""
PAD: Final = 0.06
"""Space beyond the outermost values, as a share of the range."""
NARROWEST: Final = 0.02
"""Smallest span of a percent axis; a smaller one would make noise look like a change."""
LOG_FROM: Final = 8.0
"""An axis of counts is logarithmic if the largest is at least this many times the smallest."""
GRIDS: Final = (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 5))
"""For logarithmic axes: first digits, and which powers of ten get them. The first that is not too dense is used."""


@dataclass(frozen=True)
class Axis:
    """A range and the numbers on it. For a logarithmic axis, ``low`` and ``high`` are values, not exponents."""

    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    is_log: bool = False

    def plotly(self) -> dict[str, Any]:
        """The axis as entries for Plotly."""
        ends = [math.log10(self.low), math.log10(self.high)] if self.is_log else [self.low, self.high]
        return {
            "type": "log" if self.is_log else "linear",
            "range": ends,
            "tickmode": "array",
            "tickvals": list(self.ticks),
            "ticktext": list(self.texts),
        }


def percent_axis(values: Iterable[float]) -> Axis:
    """An axis for shares between 0 and 1."""
    low, high = _padded(values, NARROWEST)
    low, high = max(low, -0.02), min(high, 1.02)
    step = nice_step(min(high, 1.0) - max(low, 0.0))
    ticks = tuple(tick for tick in _multiples(low, high, step) if 0 <= tick <= 1)
    digits = max(0, -math.floor(math.log10(step * 100) + 1e-9))
    return Axis(low, high, ticks, tuple(f"{tick * 100:.{digits}f}%" for tick in ticks))


def count_axis(values: Sequence[float], *, by_ratio: bool = True) -> Axis:
    """An axis for whole numbers from 1 on.

    With ``by_ratio`` it is logarithmic if the largest is many times the smallest.
    """
    smallest, largest = min(values), max(values)
    if by_ratio and smallest > 0 and largest / smallest >= LOG_FROM:
        room = (largest / smallest) ** PAD
        low, high = smallest / room, largest * room
        choices = (_powers(low, high, digits, every) for digits, every in GRIDS)
        ticks = next(found for found in choices if len(found) < MOST_TICKS + 2)
        return Axis(low, high, ticks, tuple(f"{tick:,.0f}" for tick in ticks), is_log=True)
    low, high = _padded(values, 2.0)
    step = max(1.0, nice_step(high - low))
    ticks = tuple(tick for tick in _multiples(low, high, step) if tick >= 0)
    return Axis(low, high, ticks, tuple(f"{tick:,.0f}" for tick in ticks))


def _powers(low: float, high: float, digits: Sequence[int], every: int) -> tuple[float, ...]:
    decades = range(0, math.ceil(math.log10(high)) + 1, every)
    found = (digit * 10.0**power for power in decades for digit in digits)
    return tuple(tick for tick in found if low <= tick <= high and tick >= 1)


def number_axis(values: Iterable[float]) -> Axis:
    """An axis for numbers from 0 on."""
    _, high = _padded([*values, 0.0], 0.01)
    step = nice_step(high)
    ticks = tuple(_multiples(0.0, high, step))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(0.0, high, ticks, tuple(f"{tick:.{digits}f}" for tick in ticks))


def nice_step(span: float) -> float:
    """The smallest of 1, 2, 5, 10, … that divides a span into fewer than `MOST_TICKS` parts."""
    power = 10.0 ** math.floor(math.log10(span / MOST_TICKS))
    return next(power * digit for digit in (1, 2, 5, 10) if span / (power * digit) < MOST_TICKS)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _padded(values: Iterable[float], narrowest: float) -> tuple[float, float]:
    known = list(values)
    low, high = min(known), max(known)
    lacking = max(0.0, narrowest - (high - low)) / 2
    room = (high - low) * PAD
    return low - lacking - room, high + lacking + room
