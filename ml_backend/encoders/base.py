"""What every encoder offers: an embedding of a project's items that needs no labels.

Axes used throughout: ``N`` items, ``D`` embedding dimensions, ``T`` views of one item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.records import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

Rows = NDArray[np.float32]


class Encoder(Protocol):
    """Vectors in which items that people give the same label lie close together.

    Learnt, or loaded, once per project on the items of its pool and then kept: new items get a vector from the same
    encoder. Items are what the ``read_item`` of the project's model returned.
    """

    name: ClassVar[str]
    """Registry name."""
    object_tag: ClassVar[str]
    """Label Studio object tag whose items it reads, e.g. ``Image``."""

    @classmethod
    def options(cls) -> Mapping[str, float]:
        """Names and default values of what a project can set (setting ``embedding_options``)."""

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it, and how to get that, in a sentence; None where it can be used."""

    @classmethod
    def learn(
        cls,
        items: Sequence[Any],
        *,
        seed: int,
        options: Mapping[str, float] | None = None,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn from items without labels, or load what was learnt elsewhere.

        The same items, seed and options give the same encoder; the global random state is left alone.

        Raises:
            ModelError: no items, an unknown option, or a value out of range.
        """

    def embed(self, items: Sequence[Any]) -> Rows:
        """Vectors ``float32 [N, D]``; the same for an item whatever stands beside it."""

    def views(self, items: Sequence[Any]) -> Iterator[Rows]:
        """Vectors of the items in each of ``T`` guises that leave the label as it is ``[N, D]``.

        The first is `embed`. Two items are neighbours where any guise of one lies close to the other.
        """

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights (CPU tensors, for safetensors) and JSON-able configuration, enough for `from_state`."""

    @classmethod
    def from_state(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Rebuild a learnt encoder.

        Raises:
            ModelError: weights and configuration do not fit this encoder.
        """


class WithoutOptions:
    """What encoders share of which nothing can be set, since they were learnt elsewhere."""

    name: ClassVar[str]

    @classmethod
    def options(cls) -> Mapping[str, float]:
        """Nothing can be set."""
        return {}

    @classmethod
    def _check(cls, items: Sequence[Any], options: Mapping[str, float] | None) -> None:
        """Refuse what ``learn`` must not be given. Raises ModelError: an option, or no items."""
        if options:
            raise ModelError(f"{cls.name} has no options, but {', '.join(options)} is set; remove it")
        need_items(cls.name, items)


def need_items(encoder: str, items: Sequence[Any]) -> None:
    """Refuse to learn from nothing. Raises ModelError."""
    if not len(items):
        raise ModelError(f"{encoder}: there are no items to learn from; import tasks first")
