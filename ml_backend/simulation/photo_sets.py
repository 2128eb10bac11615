"""Photographs with several labels each: their class, its group, and whether it comes packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

GROUPS: Final = {
    "fruit": ("Apple", "Melon", "Orange", "Pear", "Satsumas"),
    "vegetable": ("Pepper", "Potato", "Tomato"),
    "dairy": ("Milk", "Yoghurt"),
    "packed": ("Juice", "Milk", "Soy-Milk", "Yoghurt"),
}
"""Label → classes that have it."""


def photo_labels(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes, then what `GROUPS` give."""
    return (*classes, *GROUPS)


def photo_sets(classes: Sequence[str], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which labels each photograph has ``[N, C]``, given the place of its class among ``classes`` ``[N]``."""
    groups = np.array([[name in members for members in GROUPS.values()] for name in classes], dtype=np.int64)
    return np.hstack([np.eye(len(classes), dtype=np.int64), groups])[targets]
