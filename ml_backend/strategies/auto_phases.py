"""What ``auto`` looks for, by how many labels there are and of how many classes."""

from __future__ import annotations

from typing import Final

import numpy as np

COLD_SHARE: Final = 0.8
"""Cold picks for each class: clusters are found a few fewer than classes, and the rest shows as items in between."""
FEWEST_COLD: Final = 4
MOST_COLD: Final = 50
SEARCHED: Final = 5
"""Labels for each class of the config, after which a class without any is not looked for."""
SEARCH_EVERY: Final = 3
"""A class has kinds, too, of which one without a label is found by nothing that goes by what is known."""
SEARCH_EVERY_MISSING: Final = 2
"""The same while a class has no label."""


def cold_picks(classes: int) -> int:
    """Labels that are asked for by clusters alone."""
    return int(np.clip(round(COLD_SHARE * classes), FEWEST_COLD, MOST_COLD))


def is_cold(labels: int, seen: int, classes: int) -> bool:
    """Whether there are too few labels, or of too few classes, to look between classes."""
    return labels < cold_picks(classes) or seen < min(2, classes)


def misses_a_class(labels: int, seen: int, classes: int) -> bool:
    """Whether a class without a label is looked for; not for ever: nothing may belong to some."""
    return seen < classes and labels < SEARCHED * classes


def searches(labels: int, seen: int, classes: int) -> bool:
    """Whether the next item is to find what has no label yet: every third one, every second while `misses_a_class`."""
    return labels % (SEARCH_EVERY_MISSING if misses_a_class(labels, seen, classes) else SEARCH_EVERY) == 0


def explain(labels: int, seen: int, classes: int, *, sets: bool = False) -> str:
    """What ``auto`` asks now and why, in a sentence.

    Args:
        labels: how many there are.
        seen: of how many classes.
        classes: how many there could be.
        sets: whether an answer has several.
    """
    cold = cold_picks(classes)
    if is_cold(labels, seen, classes) and labels >= cold:
        return f"auto: typical items of groups without a label, until a second class is found ({labels} labels now)"
    if labels < cold:
        return f"auto: typical items of groups without a label, until there are {cold} labels ({labels} now)"
    if sets:
        return (
            f"auto: typical items of groups with few labels, and items in doubt about their classes ({labels} labels)"
        )
    found = f"auto: items between two classes that many others are like ({labels} labels)"
    if misses_a_class(labels, seen, classes):
        return f"{found}; every second one among those that hardly a label reaches: {seen} of {classes} classes seen"
    return f"{found}; every third one among those that hardly a label reaches"
