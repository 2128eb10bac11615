"""The ``result`` of a prediction or an annotation as regions. Anything may stand there: what cannot be used is counted.

Label Studio writes a region as one object or as several with one id: its place, its label, its other answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

RELATION: Final = "relation"
"""Of objects that connect regions and are none."""
NO_SCORE: Final = "no score"
NOT_A_LIST: Final = "a result that is no list"
NOT_AN_OBJECT: Final = "a region that is no object"
NO_VALUE: Final = "a region without a value"


@dataclass(frozen=True)
class Region:
    """One region, or one answer about the whole task."""

    id: str
    controls: tuple[str, ...]
    """Names of the tags that made it (``from_name``), sorted."""
    value: Mapping[str, Any]
    """Its place, labels and answers."""
    labels: tuple[str, ...]
    score: float | None = None
    """In [0, 1]; the lowest of its parts; None where none of them has one that can be used."""


@dataclass(frozen=True)
class Reading:
    """What could be read of one result."""

    regions: tuple[Region, ...] = ()
    problems: Counter[str] = field(default_factory=Counter)
    """What could not be used → how often."""


def read_regions(result: Any) -> Reading:
    """Regions of a result, in its order. Never fails, whatever the result is."""
    problems: Counter[str] = Counter()
    if result is None:
        return Reading()
    if not isinstance(result, list | tuple):
        return Reading((), Counter([NOT_A_LIST]))
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for place, part in enumerate(result):
        if not isinstance(part, Mapping):
            problems[NOT_AN_OBJECT] += 1
        elif part.get("type") == RELATION:
            continue
        elif not isinstance(part.get("value"), Mapping):
            problems[NO_VALUE] += 1
        else:
            parts.setdefault(_id(part, place), []).append(part)
    regions = tuple(_region(name, group, problems) for name, group in parts.items())
    return Reading(regions, problems)


def usable_score(score: Any) -> float | str:
    """A score in [0, 1], or what is wrong with it, in words."""
    if score is None:
        return NO_SCORE
    if isinstance(score, str):
        return "a score that is a text"
    if isinstance(score, bool) or not isinstance(score, int | float):
        return "a score that is no number"
    if isinstance(score, float) and not math.isfinite(score):
        return "a score that is not finite"
    if score < 0:
        return "a negative score"
    if score > 1:
        return "a score above 1"
    return float(score)


def _id(part: Mapping[str, Any], place: int) -> str:
    """A region's id; of one without any its place, which no other has."""
    found = part.get("id")
    return str(found) if isinstance(found, str | int) and found != "" else f"place {place}"


def _region(name: str, parts: Iterable[Mapping[str, Any]], problems: Counter[str]) -> Region:
    value: dict[str, Any] = {}
    controls: set[str] = set()
    scores: list[float] = []
    reasons: list[str] = []
    for part in parts:
        value |= part["value"]
        controls.add(str(part.get("from_name", "")))
        # Some tools write the score beside the labels.
        found = usable_score(part["score"] if part.get("score") is not None else part["value"].get("score"))
        (reasons if isinstance(found, str) else scores).append(found)  # type: ignore[arg-type]
    wrong = [reason for reason in reasons if reason != NO_SCORE]
    problems.update(wrong)
    if not scores and not wrong:
        problems[NO_SCORE] += 1
    return Region(name, tuple(sorted(controls)), value, _labels(value), min(scores, default=None))


def _labels(value: Mapping[str, Any]) -> tuple[str, ...]:
    """What a region is called: all lists of texts under names like ``rectanglelabels``, ``labels`` or ``choices``."""
    found: list[str] = []
    for name, entry in value.items():
        if (name.endswith("labels") or name == "choices") and isinstance(entry, list):
            found += [str(item) for item in entry if isinstance(item, str | int)]
    return tuple(dict.fromkeys(found))
