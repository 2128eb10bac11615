"""The neighbours of labelled items in a pool, as passes found them: each item is looked for once.

Source: SEALS, Coleman et al. 2022, https://arxiv.org/abs/2007.00077. There an index of all rows finds them; here a
pass, which looks at all rows anyway, finds those of the labels that are new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from ml_backend.errors import StoreError
from ml_backend.store.documents import POOL_NEIGHBOURS
from ml_backend.store.project_store import ProjectStore

AT_ONCE: Final = 64
"""Items that one pass looks for neighbours of, the newest first; the others wait for the next."""


@dataclass(frozen=True)
class Neighbours:
    """What is known."""

    about: str = ""
    """The vectors that they were found among: encoder and number of rows. Among others they are looked for anew."""
    near: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Task id of a labelled item → ids of its nearest rows, the nearest first."""

    def among(self, about: str) -> Self:
        """What is known of these vectors: itself, or nothing."""
        return self if about == self.about else type(self)(about)

    def missing(self, labelled: Sequence[int], most: int = AT_ONCE) -> list[int]:
        """Those of the labelled tasks, the newest first, whose neighbours are to be looked for."""
        return [task for task in sorted(labelled, reverse=True) if task not in self.near][:most]

    def known(self, labelled: Sequence[int], most: int) -> list[str]:
        """Rows near the labelled items: the nearest of each, then the next of each, at most so many."""
        lists = [self.near[task] for task in sorted(labelled, reverse=True) if task in self.near]
        found: dict[str, None] = {}
        for place in range(max(map(len, lists), default=0)):
            found |= dict.fromkeys(rows[place] for rows in lists if place < len(rows))
            if len(found) >= most:
                break
        return list(found)[:most]

    def with_found(self, found: Mapping[int, Sequence[str]]) -> Self:
        """With those of further items."""
        return type(self)(self.about, {**self.near, **{task: tuple(rows) for task, rows in found.items()}})


def read(store: ProjectStore) -> Neighbours:
    """What earlier passes found; nothing where that is missing or damaged: it is found again."""
    try:
        content = store.document(POOL_NEIGHBOURS)
        near = {int(task): tuple(map(str, rows)) for task, rows in content.get("near", {}).items()}
        return Neighbours(str(content.get("about", "")), near)
    except (StoreError, AttributeError, TypeError, ValueError):
        return Neighbours()


def write(store: ProjectStore, found: Neighbours) -> None:
    """Keep it.

    Raises:
        StoreError: it cannot be written.
    """
    near = {str(task): list(rows) for task, rows in found.near.items()}
    store.write_document(POOL_NEIGHBOURS, {"about": found.about, "near": near})
