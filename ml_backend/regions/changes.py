"""What people corrected: a prediction's regions against those of the annotation that followed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from ml_backend.regions.overlap import overlap
from ml_backend.regions.reading import Region

SAME_THING: Final = 0.5
"""Overlap from which two regions are about one thing (Everingham et al. 2010, PASCAL VOC)."""
SAME_PLACE: Final = 0.95
"""Overlap from which a region was not moved: nobody draws a box twice in exactly one place."""
MOST_REGIONS: Final = 1_000
"""Of one task, beyond which only ids and equal values are matched: all pairs would take seconds."""


class Pair(NamedTuple):
    """Positions of a predicted and an annotated region about one thing, and their overlap where it can be told."""

    predicted: int
    annotated: int
    overlap: float | None


@dataclass(frozen=True)
class Changes:
    """Of one task."""

    predicted: int
    """Regions."""
    annotated: int
    kept: int
    """At the same place, with the same labels."""
    moved: int
    """Another place or outline."""
    relabelled: int
    """At the same place, with other labels or answers."""
    removed: int
    added: int
    overlap: float | None
    """Mean over the pairs whose places can be compared."""

    @property
    def corrected(self) -> bool:
        """Whether anything was."""
        return self.kept != self.predicted or self.kept != self.annotated


def compare(predicted: Sequence[Region], annotated: Sequence[Region]) -> Changes:
    """What became of each predicted region.

    Two regions are one where they have one id; else where their tags are the same and they overlap most, by at least
    `SAME_THING`; else where nothing can be compared but their values, and these are equal, or the tag is asked once.
    """
    pairs = [*_matched(predicted, annotated)]
    verdicts = [_verdict(predicted[pair.predicted], annotated[pair.annotated], pair.overlap) for pair in pairs]
    overlaps = [pair.overlap for pair in pairs if pair.overlap is not None]
    return Changes(
        len(predicted),
        len(annotated),
        verdicts.count("kept"),
        verdicts.count("moved"),
        verdicts.count("relabelled"),
        len(predicted) - len(pairs),
        len(annotated) - len(pairs),
        float(np.mean(overlaps)) if overlaps else None,
    )


def _matched(predicted: Sequence[Region], annotated: Sequence[Region]) -> list[Pair]:
    where = {region.id: place for place, region in enumerate(annotated) if not region.id.startswith("place ")}
    pairs = [
        Pair(place, where[region.id], overlap(region.value, annotated[where[region.id]].value))
        for place, region in enumerate(predicted)
        if region.id in where and region.controls == annotated[where[region.id]].controls
    ]
    free = _Free(predicted, annotated, pairs)
    pairs += free.by_place()
    return [*pairs, *free.by_value()]


class _Free:
    """Regions that have no partner yet."""

    def __init__(self, predicted: Sequence[Region], annotated: Sequence[Region], pairs: Sequence[Pair]) -> None:
        self._predicted, self._annotated = predicted, annotated
        self._left = dict.fromkeys(p for p in range(len(predicted)) if p not in {pair.predicted for pair in pairs})
        self._right = dict.fromkeys(a for a in range(len(annotated)) if a not in {pair.annotated for pair in pairs})

    def by_place(self) -> list[Pair]:
        """Pairs that overlap, the most overlapping first."""
        if max(len(self._left), len(self._right)) > MOST_REGIONS:
            return []
        found = []
        for p in self._left:
            for a in self._right:
                if self._predicted[p].controls == self._annotated[a].controls:
                    shared = overlap(self._predicted[p].value, self._annotated[a].value)
                    if shared is not None and shared >= SAME_THING:
                        found.append((-shared, p, a))
        return [Pair(p, a, -minus) for minus, p, a in sorted(found) if self._take(p, a)]

    def by_value(self) -> list[Pair]:
        """Pairs of what has no place: equal ones first, then the answers of a tag that gave one each."""
        found = []
        for key_of in (_content, _tags):
            left, right = (
                self._by_key(side, key_of) for side in ((self._predicted, self._left), (self._annotated, self._right))
            )
            for key, places in left.items():
                others = right.get(key, [])
                once = len(places) == len(others) == 1
                if key_of is _content or (once and self._have_no_place(places[0], others[0])):
                    found += [Pair(p, a, None) for p, a in zip(places, others, strict=False) if self._take(p, a)]
        return found

    @staticmethod
    def _by_key(side: tuple[Sequence[Region], Iterable[int]], key_of: Callable[[Region], str]) -> dict[str, list[int]]:
        regions, places = side
        found: dict[str, list[int]] = {}
        for place in places:
            found.setdefault(key_of(regions[place]), []).append(place)
        return found

    def _have_no_place(self, p: int, a: int) -> bool:
        return overlap(self._predicted[p].value, self._annotated[a].value) is None

    def _take(self, p: int, a: int) -> bool:
        if p not in self._left or a not in self._right:
            return False
        del self._left[p], self._right[a]
        return True


def _tags(region: Region) -> str:
    return json.dumps(region.controls)


def _content(region: Region) -> str:
    return json.dumps([region.controls, region.value], sort_keys=True, default=str)


def _verdict(before: Region, after: Region, shared: float | None) -> str:
    if shared is not None and shared < SAME_PLACE:
        return "moved"
    if set(before.labels) != set(after.labels):
        return "relabelled"
    if shared is not None or before.value == after.value:
        return "kept"
    if not before.labels:  # a text, a number of stars
        return "relabelled"
    return "kept" if len(after.value) == 1 else "moved"
